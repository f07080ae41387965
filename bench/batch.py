"""Check-ins by the batch, and through the whole chain: ``python -m bench.batch``.

The city of ``bench.matching``: 10,000 stores, half with circles of 200 m and half with outlines
of 24 vertices, an offer for entering any of them, and 20,000 people who walk 0.0015° (standard
deviation) between two fixes, each known from one fix before. Each check-in is decided, explained
and committed. PostgreSQL, both services, the feed and this load share the machine's cores.

- *Burst*: batches one after another over each connection, as fast as they are answered; then how
  many events wait to be told to member_api, and how long until none does.
- *Sustained*: the same, but a batch is sent only while few events wait, until the time is over
  and all are told: the rate is that of check-ins that stand in timelines.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from bench.installation import Installation, ask, installation, open_offer
from bench.matching import ACCURACY_M, CITY_STORES, PEOPLE, RADIUS_M, City
from shared.geo import Circle, to_geojson
from shared.ids import uuid7

_FEW_WAITING = 4_000
"""Events; about what the feed takes in a second, so that it is never idle."""

_IN_CHAIN = "SELECT count(*) FROM member.timeline_items WHERE type = 'check_in'"
_WAITING = "SELECT count(*) FROM geo.outbox"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Phase:
    """Check-ins per second, and where the processor's time went, in µs per check-in."""

    name: str
    rate: float
    waiting: int
    drained_s: float
    through_rate: float
    spent_us: dict[str, float]


@dataclass(slots=True)
class Bench:
    """``url`` is that of the database, for its administrator."""

    home: Installation
    client: httpx.Client
    url: str
    people: Iterator[dict[str, Any]]
    size: int
    connections: int

    def batches(self, count: int) -> list[bytes]:
        """NDJSON, the fixes of as many people as there are lines, who take their turns."""
        return [
            b"\n".join(orjson.dumps(next(self.people)) for _ in range(self.size))
            for _ in range(count)
        ]

    def burst(self, lines: int) -> Phase:
        return self._phase("burst", self.batches(math.ceil(lines / self.size)), lambda: True)

    def sustained(self, seconds: float) -> Phase:
        """Stops sending when the time is over; what was prepared beyond it is not sent."""
        batches = self.batches(math.ceil(seconds * 12_000 / self.size))
        until = time.monotonic() + seconds

        def may_send() -> bool:
            while time.monotonic() < until:
                if self.waiting() < _FEW_WAITING:
                    return True
                time.sleep(_POLL_S)
            return False

        return self._phase("sustained", batches, may_send)

    def waiting(self) -> int:
        return int(ask(self.url, _WAITING))

    def settle(self) -> None:
        """Wait until everything is told, and the work of that is over."""
        while self.waiting():
            time.sleep(_POLL_S)
        time.sleep(1)

    def _phase(self, name: str, batches: list[bytes], may_send: Callable[[], bool]) -> Phase:
        self.settle()
        stood, spent = int(ask(self.url, _IN_CHAIN)), self.home.processor_s()
        began = time.perf_counter()
        with ThreadPoolExecutor(self.connections) as pool:
            mine = [batches[n :: self.connections] for n in range(self.connections)]
            sent = sum(pool.map(lambda own: self._send(own, may_send), mine))
        elapsed, waiting = time.perf_counter() - began, self.waiting()
        while self.waiting():
            time.sleep(_POLL_S)
        whole = time.perf_counter() - began
        stands = int(ask(self.url, _IN_CHAIN)) - stood
        assert stands == sent, (stands, sent)  # noqa: S101 - a wrong bench
        after = self.home.processor_s()
        spent_us = {part: (after[part] - spent[part]) / sent * 1e6 for part in spent}
        return Phase(name, sent / elapsed, waiting, whole - elapsed, sent / whole, spent_us)

    def _send(self, batches: Sequence[bytes], may_send: Callable[[], bool]) -> int:
        """One connection's share; how many check-ins were taken, each for the first time."""
        taken = 0
        for batch in batches:
            if not may_send():
                break
            answer = self.client.post(
                "/v1/check-ins/batch",
                content=batch,
                headers={"Content-Type": "application/x-ndjson"},
            )
            lines = answer.content.count(b'"http_status":201')
            assert lines == batch.count(b"\n") + 1, answer.content[:500]  # noqa: S101 - a wrong bench
            taken += lines
        return taken


def walkers(city: City) -> Iterator[dict[str, Any]]:
    """Check-ins of everybody in turn, now."""
    while True:
        for who, fix in enumerate(city.walk()):
            yield {
                "id": str(uuid7()),
                "kind": "background",
                "longitude": fix.lon,
                "latitude": fix.lat,
                "accuracy_m": ACCURACY_M,
                "occurred_at": datetime.now(UTC).isoformat(),
                "subject": {"namespace": "app_user", "issuer": "bench", "value": f"p{who}"},
                "consent": {
                    "purpose": "visit_history",
                    "version": "bench",
                    "given_at": "2026-01-01T00:00:00Z",
                },
            }


def open_city(client: httpx.Client, city: City) -> None:
    """Import its stores with their fences, and activate the offer."""
    features = []
    for fence, (lon, lat) in zip(city.fences("half"), city.stores.tolist(), strict=True):
        is_round = isinstance(fence.shape, Circle)
        point = {"type": "Point", "coordinates": [lon, lat]}
        geometry = point if is_round else to_geojson(fence.shape)
        properties = {"id": fence.store_id, "name": fence.store_id, "timezone": "Asia/Shanghai"}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    imported = client.post(
        "/v1/stores/import",
        params={"radius_m": RADIUS_M},
        content=orjson.dumps({"type": "FeatureCollection", "features": features}),
        headers={"Content-Type": "application/geo+json", "Idempotency-Key": "bench"},
    )
    imported.raise_for_status()
    assert not imported.json()["refused"], imported.text[:500]  # noqa: S101 - a wrong bench
    open_offer(client)
    time.sleep(3)  # stores and offer reach the process, and the import's work is over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--lines", type=int, default=40_000, help="check-ins in each burst")
    parser.add_argument("--batch", type=int, default=2_500, help="check-ins in each request")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=20, help="of each sustained phase")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    phases: dict[str, list[Phase]] = {}
    with installation() as home:
        city = City.of(CITY_STORES, PEOPLE)
        with home.client() as client:
            open_city(client, city)
            bench = Bench(home, client, home.database_url, walkers(city), arguments.batch, 1)
            bench.burst(PEOPLE)  # everybody is known from now on
            for _ in range(arguments.rounds):
                for connections in arguments.connections:
                    bench.connections = connections
                    for phase in (bench.burst(arguments.lines), bench.sustained(arguments.seconds)):
                        name = f"{phase.name}, {connections} connections"
                        phases.setdefault(name, []).append(phase)
                        print(f"{name}: {phase.rate:.0f}/s", file=sys.stderr)
    _report(phases, as_json=arguments.json)


def _report(phases: dict[str, list[Phase]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: [*map(asdict, runs)] for name, runs in phases.items()}))
        return
    parts = [*next(iter(phases.values()))[0].spent_us]
    print(
        "check-ins per second as answered, events waiting then, seconds until none waits, check-ins"
    )
    print(
        "per second into the timelines; and processor time per check-in, in microseconds; medians"
    )
    print(f"{'':<26}{'per s':>8}{'waiting':>9}{'drained':>9}{'through':>9}" + "".join(f"{part:>12}" for part in parts))  # fmt: skip
    for name, runs in phases.items():
        columns = ("rate", "waiting", "drained_s", "through_rate")
        rate, waiting, drained_s, through = (
            statistics.median(getattr(run, column) for run in runs) for column in columns
        )
        spent = [statistics.median(run.spent_us[part] for run in runs) for part in parts]
        print(f"{name:<26}{rate:>8.0f}{waiting:>9.0f}{drained_s:>9.1f}{through:>9.0f}" + "".join(f"{us:>12.0f}" for us in spent))  # fmt: skip


if __name__ == "__main__":
    main()

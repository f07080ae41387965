"""Single check-ins per second against two yardsticks: ``python -m bench.check_ins``.

Endpoints of one geo_api process take turns: the real one, one that only reads the same body and
answers, the same once more by the lighter route that the real one takes, and one that does a
single INSERT for each request. PostgreSQL (fsync and synchronous_commit on), the feed to member_api
and this load share the machine's cores; what each spends on a request is told beside.

The city: 1,000 stores with circles of 100 m, normal around Shanghai's centre (standard deviation 0.02°), an offer
for entering any of them, and 2,000 people who walk about (0.0005°, some 50 m, between two
fixes), each known from one fix before the runs.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from bench.app import CREATE_TABLE
from bench.installation import Installation, ask, installation, open_offer
from bench.load import Load, drive, post
from shared.ids import uuid7

STORES = 1_000
PEOPLE = 2_000
CENTRE = (121.4737, 31.2304)
SPREAD_DEG = 0.02
STEP_DEG = 0.0005
ENDPOINTS = ("/v1/check-ins", "/bench/parse", "/bench/parse-lightly", "/bench/insert")
NAMES = {
    "/v1/check-ins": "check-in, decided and committed",
    "/bench/parse": "(a) parse and answer only",
    "/bench/parse-lightly": "    the same by the lighter route",
    "/bench/insert": "(b) one INSERT per request",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run over one endpoint; ``spent_us`` is processor time per request, by part."""

    load: Load
    spent_us: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """``places`` is where everybody is just now: [longitude, latitude]."""

    port: int
    token: str
    city: random.Random
    places: list[list[float]]

    def requests(self, path: str, people: Iterable[int]) -> Iterator[bytes]:
        for who in people:
            yield post(path, self.token, json.dumps(self._check_in(who)).encode())

    def passers_by(self, count: int) -> list[int]:
        return [self.city.randrange(PEOPLE) for _ in range(count)]

    def _check_in(self, who: int) -> dict[str, Any]:
        """The next step of somebody's walk."""
        place = self.places[who]
        place[:] = [degrees + self.city.gauss(0, STEP_DEG) for degrees in place]
        return {
            "id": str(uuid7()),
            "kind": "background",
            "longitude": place[0],
            "latitude": place[1],
            "accuracy_m": 12,
            "occurred_at": datetime.now(UTC).isoformat(),
            "subject": {"namespace": "app_user", "issuer": "bench", "value": f"p{who}"},
            "consent": {
                "purpose": "visit_history",
                "version": "bench",
                "given_at": "2026-01-01T00:00:00Z",
            },
        }


def settle_in() -> list[list[float]]:
    """Where people start from."""
    city = random.Random(11)
    return [[city.gauss(degrees, SPREAD_DEG) for degrees in CENTRE] for _ in range(PEOPLE)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8_000, help="in each run")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with installation() as home:
        bench = _prepare(home)
        runs: dict[str, list[Run]] = {path: [] for path in ENDPOINTS}
        for path in ENDPOINTS:
            drive(bench.port, bench.requests(path, range(PEOPLE)), arguments.connections)
        for _ in range(arguments.rounds):
            for path in ENDPOINTS:
                runs[path].append(_measure(home, bench, path, arguments))
    _report(runs, as_json=arguments.json)


def _prepare(home: Installation) -> Bench:
    """Put geo_api with yardsticks in place of geo_api, open stores and an offer."""
    ask(home.database_url, CREATE_TABLE, "GRANT ALL ON geo.bench_check_ins TO solomo_geo")
    home.replace_geo("bench.app:create_app")
    with home.client() as client:
        _open_city(client)
    return Bench(home.port, home.token(), random.Random(7), settle_in())


def _open_city(client: httpx.Client) -> None:
    city = random.Random(1)
    rows = ["store_id,name,latitude,longitude"]
    rows += [
        f"s{n},Store {n},{city.gauss(CENTRE[1], SPREAD_DEG)},{city.gauss(CENTRE[0], SPREAD_DEG)}"
        for n in range(STORES)
    ]
    imported = client.post(
        "/v1/stores/import",
        params={"radius_m": 100, "timezone": "Asia/Shanghai"},
        content="\n".join(rows),
        headers={"Content-Type": "text/csv", "Idempotency-Key": "bench"},
    )
    imported.raise_for_status()
    open_offer(client)
    time.sleep(2)  # stores and offer reach the process, and the import's work is over


def _measure(home: Installation, bench: Bench, path: str, arguments: argparse.Namespace) -> Run:
    requests = [*bench.requests(path, bench.passers_by(arguments.requests))]
    before = home.processor_s()
    load = drive(bench.port, iter(requests), arguments.connections)
    assert set(load.statuses) == {201}, load.statuses  # noqa: S101 - a wrong bench
    after = home.processor_s()
    spent = {part: after[part] - before[part] for part in before}
    return Run(load, {part: s / arguments.requests * 1e6 for part, s in spent.items()})


def _report(runs: dict[str, list[Run]], *, as_json: bool) -> None:
    medians = {path: _medians(of_path) for path, of_path in runs.items()}
    if as_json:
        print(json.dumps(medians))
        return
    real = medians["/v1/check-ins"]["rate"]
    parts = [name for name in medians["/v1/check-ins"] if name.endswith("_us")]
    print("rates and latencies; then microseconds of processor time per request")
    print(f"{'endpoint':<38}{'per s':>7}{'p50 ms':>8}{'p99 ms':>8}{'check-in / it':>15}", end="")
    print("".join(f"{part.removesuffix('_us'):>12}" for part in parts))
    for path in ENDPOINTS:
        m = medians[path]
        print(f"{NAMES[path]:<38}{m['rate']:>7.0f}{m['p50_ms']:>8.1f}{m['p99_ms']:>8.1f}"
              f"{real / m['rate']:>15.2f}" + "".join(f"{m[part]:>12.0f}" for part in parts))  # fmt: skip


def _medians(runs: Sequence[Run]) -> dict[str, float]:
    loads = [run.load for run in runs]
    return {
        "rate": statistics.median(load.rate for load in loads),
        "p50_ms": statistics.median(load.p50_ms for load in loads),
        "p99_ms": statistics.median(load.p99_ms for load in loads),
        **{
            f"{part}_us": statistics.median(run.spent_us[part] for run in runs)
            for part in runs[0].spent_us
        },
    }


if __name__ == "__main__":
    main()

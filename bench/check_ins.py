"""Single check-ins per second against two yardsticks: ``python -m bench.check_ins``.

Three endpoints of one geo_api process take turns: the real one, one that only reads the same
body and answers, and one that does a single INSERT for each request. PostgreSQL (fsync and
synchronous_commit on), the feed to member_api and this load share the machine's cores.

The city: 1,000 stores with circles of 100 m, normal around Shanghai's centre (standard deviation 0.02°), an offer
for entering any of them, and 2,000 people who walk about (0.0005°, some 50 m, between two
fixes), each known from one fix before the runs.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvloop

from bench.app import CREATE_TABLE
from bench.load import Load, drive, post
from cli import processes
from shared.auth import mint_operator_token
from shared.ids import uuid7

PROJECT = Path(__file__).parent.parent
STORES = 1_000
PEOPLE = 2_000
CENTRE = (121.4737, 31.2304)
SPREAD_DEG = 0.02
STEP_DEG = 0.0005
ENDPOINTS = ("/v1/check-ins", "/bench/parse", "/bench/insert")
NAMES = {
    "/v1/check-ins": "check-in, decided and committed",
    "/bench/parse": "(a) parse and answer only",
    "/bench/insert": "(b) one INSERT per request",
}


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
    with _installation() as (home, environment):
        bench = _prepare(home, environment)
        runs: dict[str, list[Load]] = {path: [] for path in ENDPOINTS}
        for path in ENDPOINTS:
            drive(bench.port, bench.requests(path, range(PEOPLE)), arguments.connections)
        for _ in range(arguments.rounds):
            for path in ENDPOINTS:
                requests = bench.requests(path, bench.passers_by(arguments.requests))
                load = drive(bench.port, iter([*requests]), arguments.connections)
                assert set(load.statuses) == {201}, load.statuses  # noqa: S101 - a wrong bench
                runs[path].append(load)
    _report(runs, as_json=arguments.json)


@contextmanager
def _installation() -> Iterator[tuple[Path, dict[str, str]]]:
    """A fresh installation of its own, one worker, with geo_api replaced by ``bench.app``."""
    with tempfile.TemporaryDirectory(prefix="solomo-bench-") as folder:
        ports = {"SOLOMO_GEO_PORT": processes.unused_port(), "SOLOMO_MEMBER_PORT": 0}
        ports["SOLOMO_MEMBER_PORT"] = processes.unused_port()
        environment = {
            **os.environ,
            "SOLOMO_HOME": folder,
            "SOLOMO_WORKERS": "1",
            "SOLOMO_RATE_KEY_PER_S": "1000000",
            "SOLOMO_RATE_SUBJECT_PER_S": "1000000",
            "SOLOMO_ACCESS_LOG": "true",
            **{name: str(port) for name, port in ports.items()},
        }
        command = [sys.executable, "-m", "cli"]
        subprocess.run([*command, "up"], cwd=PROJECT, env=environment, check=True)
        try:
            yield Path(folder), environment
        finally:
            subprocess.run([*command, "reset", "--yes"], cwd=PROJECT, env=environment, check=True)


def _prepare(home: Path, environment: dict[str, str]) -> Bench:
    """Stop the installation's geo_api, start the one with yardsticks, open stores and an offer."""
    [pid, *_] = processes.marked(home.resolve(), "geo_api")
    started_with = processes.environment(pid)
    processes.stop([pid], with_signal=signal.SIGTERM, within_s=20)
    port = int(environment["SOLOMO_GEO_PORT"])
    url = started_with["SOLOMO_GEO_DATABASE_URL"]
    settings = json.loads((home / "secrets.json").read_text())
    uvloop.run(_create_table(url, settings["admin_password"]))
    arguments = [
        sys.executable, "-m", "uvicorn", "bench.app:create_app", "--factory", "--port", str(port),
        "--no-access-log", "--loop", "uvloop", "--http", "httptools",
    ]  # fmt: skip
    subprocess.Popen(arguments, cwd=PROJECT, env={**started_with, **environment})
    token = mint_operator_token(home / "keys/operator", role="server", subject="b", ttl_s=86_400)
    _open_city(f"http://127.0.0.1:{port}", token)
    return Bench(port, token, random.Random(7), settle_in())


async def _create_table(url: str, admin_password: str) -> None:
    as_admin = httpx.URL(url.replace("+asyncpg", ""))
    as_admin = as_admin.copy_with(username="solomo_admin", password=admin_password)
    connection = await asyncpg.connect(str(as_admin))
    await connection.execute(CREATE_TABLE)
    await connection.execute("GRANT ALL ON geo.bench_check_ins TO solomo_geo")
    await connection.close()


def _open_city(url: str, token: str) -> None:
    city = random.Random(1)
    rows = ["store_id,name,latitude,longitude"]
    rows += [
        f"s{n},Store {n},{city.gauss(CENTRE[1], SPREAD_DEG)},{city.gauss(CENTRE[0], SPREAD_DEG)}"
        for n in range(STORES)
    ]
    with httpx.Client(base_url=url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        _until_ready(client)
        imported = client.post(
            "/v1/stores/import",
            params={"radius_m": 100, "timezone": "Asia/Shanghai"},
            content="\n".join(rows),
            headers={"Content-Type": "text/csv", "Idempotency-Key": "bench"},
        )
        imported.raise_for_status()
        offer = {
            "title": "Bench",
            "trigger": {"type": "enter"},
            "stores": {"all": True},
            "starts_at": "2026-01-01T00:00:00Z",
            "ends_at": "2099-01-01T00:00:00Z",
            "caps": {"total": 100_000_000, "per_person": 1},
            "benefit": {"type": "text", "text": "hello"},
            "coupon": {"valid_for_s": 86_400},
        }
        client.put("/v1/offers/bench", json=offer).raise_for_status()
        client.post("/v1/offers/bench/activate").raise_for_status()
    time.sleep(2)  # stores and offer reach the process, and the import's work is over


def _until_ready(client: httpx.Client) -> None:
    for _ in range(200):
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("geo_api did not become ready")


def _report(runs: dict[str, list[Load]], *, as_json: bool) -> None:
    medians = {
        path: {
            "rate": statistics.median(load.rate for load in loads),
            "p50_ms": statistics.median(load.p50_ms for load in loads),
            "p99_ms": statistics.median(load.p99_ms for load in loads),
        }
        for path, loads in runs.items()
    }
    real = medians["/v1/check-ins"]["rate"]
    if as_json:
        print(json.dumps(medians))
        return
    print(f"{'endpoint':<34}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'check-in / it':>15}")
    for path in ENDPOINTS:
        m = medians[path]
        ratio = real / m["rate"]
        print(
            f"{NAMES[path]:<34}{m['rate']:>9.0f}{m['p50_ms']:>9.1f}{m['p99_ms']:>9.1f}{ratio:>15.2f}"
        )


if __name__ == "__main__":
    main()

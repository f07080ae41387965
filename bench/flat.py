"""What a check-in costs as fences and stored check-ins grow: ``python -m bench.flat``.

The city of ``bench.matching``, side by side where there are more than 10,000 fences, and 20,000
people who walk in it, in batches of 500 through the application itself, without a network and
without the feed. Told is processor time per check-in, of this process and of PostgreSQL: it is
what a busy neighbour disturbs least. First the fences grow, then, with the fewest of them again,
the stored check-ins: copies, by SQL, of those that were sent, with their receipts and visits.
"""

import argparse
import asyncio
import json
import math
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import uvloop

from bench.batch import walkers
from bench.installation import OFFER, Installation, installation
from bench.matching import PEOPLE, RADIUS_M, City
from services.geo_api.app import create_app
from services.geo_api.settings import GeoSettings

FENCES = (1_000, 10_000, 100_000, 1_000_000)
STORED = (10_000, 100_000, 1_000_000, 10_000_000)
BATCH = 500

_CLEAR = "TRUNCATE geo.stores, geo.geofences, geo.geofence_versions CASCADE"
_FENCES = """
WITH place AS (
    SELECT 'f' || lpad(n::text, 7, '0') AS id, lon, lat,
        ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography AS point
    FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS p (lon, lat, n)
), version AS (
    INSERT INTO geo.fence_index_version AS i (id, version) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET version = i.version + 1 RETURNING version
), store AS (
    INSERT INTO geo.stores (store_id, version, name, timezone, tags, location,
        received_latitude, received_longitude, datum, created_at, updated_at, index_version)
    SELECT id, 1, id, 'Asia/Shanghai', '{}', point, lat, lon, 'wgs84', now(), now(), version.version
    FROM place, version
), fence AS (
    INSERT INTO geo.geofences
        (geofence_id, store_id, version, created_at, updated_at, index_version)
    SELECT id, id, 1, now(), now(), version.version FROM place, version
)
INSERT INTO geo.geofence_versions
    (geofence_id, version, created_at, created_by, center, radius_m, received, datum, dwell_s)
SELECT id, 1, now(), 'bench', point, $3, '{}', 'wgs84', '{}' FROM place
"""

_ID = """(lpad(to_hex((extract(epoch FROM received_at - ago) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid"""
"""Of version 7, as that of a check-in was when it was made."""

_NEW: dict[str, dict[str, str]] = {
    "check_ins": {"check_in_id": _ID, "occurred_at": "occurred_at - ago"},
    "check_in_receipts": {"check_in_id": _ID},
    "visits": {
        "visit_id": "gen_random_uuid()",
        "state": "'exited'",
        "closed_by": "'left'",
        "provisional": "false",
        "entered_at": "entered_at - ago",
        "last_inside_at": "last_inside_at - ago",
        "left_at": "last_inside_at - ago",
    },
}
"""What a copy has of its own; ``ago`` lies further back with each."""


@dataclass(frozen=True, slots=True)
class Row:
    """Microseconds of processor time per check-in, medians of the rounds."""

    fences: int
    stored: int
    own_us: float
    postgres_us: float


@dataclass(slots=True)
class Bench:
    """geo_api in this process, on the database of ``home``, reached by ``client``."""

    home: Installation
    client: httpx.AsyncClient
    database: "asyncpg.Connection[asyncpg.Record]"
    rounds: int
    each: int

    async def send(self, people: Any, count: int) -> None:
        for _ in range(math.ceil(count / BATCH)):
            answer = await self.client.post(
                "/v1/check-ins/batch",
                content=b"\n".join(map(orjson.dumps, islice(people, BATCH))),
                headers={"Content-Type": "application/x-ndjson"},
            )
            taken = answer.content.count(b'"http_status":201')
            assert taken == BATCH, answer.content[:500]  # noqa: S101 - a wrong bench

    async def measure(self, city: City) -> Row:
        people = walkers(city)
        await self.send(people, PEOPLE)  # everybody is known, and every plan is made
        costs: list[tuple[float, float]] = []
        for _ in range(self.rounds):
            before, mine = self.home.processor_s(), time.process_time()
            await self.send(people, self.each)
            own = time.process_time() - mine
            postgres = self.home.processor_s()["PostgreSQL"] - before["PostgreSQL"]
            costs.append((own, postgres))
        own_us, postgres_us = (
            statistics.median(column) / self.each * 1e6 for column in zip(*costs, strict=True)
        )
        stored = int(await self.database.fetchval("SELECT count(*) FROM geo.check_ins"))
        return Row(len(city.stores), stored, own_us, postgres_us)

    async def store(self, wanted: int) -> None:
        """Copy check-ins, receipts and visits until so many check-ins are stored."""
        stored = int(await self.database.fetchval("SELECT count(*) FROM geo.check_ins"))
        copies = max(0, math.ceil(wanted / stored) - 1)
        for table, own in _NEW.items():
            columns = await self.database.fetch(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = 'geo' AND table_name = $1",
                table,
            )
            names = [column[0] for column in columns]
            values = ", ".join(own.get(name, name) for name in names)
            await self.database.execute(
                f"INSERT INTO geo.{table} ({', '.join(names)}) SELECT {values} FROM geo.{table},"
                f" LATERAL (SELECT n * interval '2 hours' AS ago"
                f" FROM generate_series(1, {copies}) AS n) AS copy"
            )
        await self.database.execute("TRUNCATE geo.outbox")
        await self.database.execute("VACUUM ANALYZE")
        await self.database.execute("CHECKPOINT")  # what was copied is not written meanwhile


@asynccontextmanager
async def _bench(
    home: Installation, settings: GeoSettings, city: City, arguments: argparse.Namespace
) -> AsyncIterator[Bench]:
    """The application with the fences of the city alone."""
    database = await asyncpg.connect(home.database_url, command_timeout=None)
    lon, lat = (column.tolist() for column in city.stores.T)
    await database.execute(_CLEAR)
    await database.execute(_FENCES, lon, lat, RADIUS_M)
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {home.token()}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://geo", headers=headers, timeout=600
        ) as client,
    ):
        await app.state.feed.stop()
        await _until_loaded(client)
        held = len(app.state.fences.current.index)
        assert held == len(lon), (held, len(lon))  # noqa: S101 - a wrong bench
        (await client.put("/v1/offers/bench", json=OFFER)).raise_for_status()
        (await client.post("/v1/offers/bench/activate")).raise_for_status()
        await asyncio.sleep(2)  # the offer reaches the process
        yield Bench(home, client, database, arguments.rounds, arguments.each)
    await database.close()


async def _until_loaded(client: httpx.AsyncClient) -> None:
    """Raises SystemExit if the fences are not in memory after some minutes."""
    for _ in range(3_000):
        if (await client.get("/readyz")).is_success:
            return
        await asyncio.sleep(0.1)
    raise SystemExit("the fences were not loaded")


def _settings(home: Installation) -> GeoSettings:
    """As geo_api has them, which is stopped."""
    told = home.stop_geo()
    return GeoSettings(
        geo_database_url=told["SOLOMO_GEO_DATABASE_URL"],
        keys_dir=Path(told["SOLOMO_KEYS_DIR"]),
        access_log=False,
        rate_key_per_s=1e6,
        rate_subject_per_s=1e6,
        log_level="error",
    )


async def _run(home: Installation, arguments: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    settings = _settings(home)
    for count in arguments.fences:
        city = City.of(count, PEOPLE)
        async with _bench(home, settings, city, arguments) as bench:
            rows.append(await bench.measure(city))
    city = City.of(arguments.fences[0], PEOPLE)
    async with _bench(home, settings, city, arguments) as bench:
        for wanted in arguments.stored:
            await bench.store(wanted)
            rows.append(await bench.measure(city))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--fences", type=int, nargs="+", default=FENCES)
    parser.add_argument("--stored", type=int, nargs="+", default=STORED)
    parser.add_argument("--each", type=int, default=20_000, help="check-ins in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes of each")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.fences, arguments.stored = arguments.fences[:2], arguments.stored[:2]
        arguments.each, arguments.rounds = 5_000, 3
    with installation() as home:
        rows = uvloop.run(_run(home, arguments))
    _report(rows, as_json=arguments.json)


def _report(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print("microseconds of processor time per check-in")
    print(f"{'fences':>10}{'stored':>12}{'geo_api':>10}{'PostgreSQL':>12}{'together / first':>18}")
    first = rows[0].own_us + rows[0].postgres_us
    for row in rows:
        ratio = (row.own_us + row.postgres_us) / first
        print(f"{row.fences:>10,}{row.stored:>12,}{row.own_us:>10.0f}{row.postgres_us:>12.0f}{ratio:>18.2f}")  # fmt: skip


if __name__ == "__main__":
    main()

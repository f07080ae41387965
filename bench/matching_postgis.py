"""The same fences in PostGIS, as the yardstick of ``bench.matching``."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.geo_api.presence.matching import Fence, FenceIndex, Fix
from shared.geo import Circle

_BATCH = 1_000

TABLE = """
CREATE TEMPORARY TABLE fences (
    id text, radius_m float8, center geography(Point, 4326), area geometry(Geometry, 4326),
    edge geography, reach geometry(Geometry, 4326)
)
"""

FILL = """
INSERT INTO fences
SELECT id, radius_m, center::geography, area, ST_Boundary(area)::geography,
       ST_Expand(COALESCE(area, center), pad_m / 111195 / cos(radians(ST_YMax(COALESCE(area, center)))),
                 pad_m / 110500)
FROM (
    SELECT id, radius_m, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS center,
           ST_GeomFromWKB(wkb, 4326) AS area, COALESCE(radius_m, 0) + $6 + 1 AS pad_m
    FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[], $5::bytea[])
         AS fence (id, radius_m, lon, lat, wkb)
) AS fence
"""

ASK = """
SELECT n, id, inside, CASE WHEN inside THEN -edge_m ELSE edge_m END AS distance_m
FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS fix (lon, lat, n)
JOIN fences ON reach && ST_SetSRID(ST_MakePoint(lon, lat), 4326)
CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS here) AS spot
CROSS JOIN LATERAL (SELECT ST_Distance(COALESCE(edge, center), here::geography) AS metres) AS away
CROSS JOIN LATERAL (
    SELECT CASE WHEN radius_m IS NULL THEN ST_Covers(area, here) ELSE metres <= radius_m END
               AS inside,
           abs(metres - COALESCE(radius_m, 0)) AS edge_m
) AS found
WHERE inside OR edge_m <= $3
"""


@dataclass(slots=True)
class PostGIS:
    """The same fences in a temporary table of a connection, and a loop to ask it with."""

    runner: asyncio.Runner
    reach_m: float
    connection: "asyncpg.Connection[asyncpg.Record]"

    @classmethod
    @contextmanager
    def filled(cls, url: str, fences: Sequence[Fence], reach_m: float) -> Iterator["PostGIS"]:
        """For as long as the block runs."""
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(url))
            try:
                postgis = cls(runner, reach_m, connection)
                runner.run(postgis.fill(fences))
                yield postgis
            finally:
                runner.run(connection.close())

    async def fill(self, fences: Sequence[Fence]) -> None:
        await self.connection.execute(TABLE)
        for begin in range(0, len(fences), 10_000):
            rows = [_row(fence) for fence in fences[begin : begin + 10_000]]
            await self.connection.execute(FILL, *map(list, zip(*rows, strict=True)), self.reach_m)
        await self.connection.execute("CREATE INDEX ON fences USING gist (reach)")
        await self.connection.execute("ANALYZE fences")

    def match(self, fixes: Sequence[Fix]) -> list[Sequence[Any]]:
        """The answer to each batch, in whatever order PostGIS finds it."""
        return self.runner.run(self._match(fixes))

    async def _match(self, fixes: Sequence[Fix]) -> list[Sequence[Any]]:
        asked = await self.connection.prepare(ASK)
        answers: list[Sequence[Any]] = []
        for begin in range(0, len(fixes), _BATCH):
            lon, lat, _ = zip(*fixes[begin : begin + _BATCH], strict=True)
            answers.append(await asked.fetch(lon, lat, self.reach_m))
        return answers

    def agrees(self, fixes: Sequence[Fix], index: FenceIndex) -> bool:
        """Whether it finds each fix inside the same fences."""
        theirs = {
            (batch * _BATCH + row["n"] - 1, row["id"])
            for batch, rows in enumerate(self.match(fixes))
            for row in rows
            if row["inside"]
        }
        ours = {
            (n, match.fence.geofence_id)
            for n, matches in enumerate(index.match(fixes))
            for match in matches
            if match.inside
        }
        return ours == theirs


def _row(fence: Fence) -> tuple[str, float | None, float | None, float | None, bytes | None]:
    shape = fence.shape
    if isinstance(shape, Circle):
        return fence.geofence_id, shape.radius_m, shape.center.lon, shape.center.lat, None
    return fence.geofence_id, None, None, None, shape.wkb

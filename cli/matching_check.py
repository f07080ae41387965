"""Asking fences in memory and PostGIS the same questions, and counting where they disagree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import numpy as np

from cli.matching_families import Family, described, rounds
from services.geo_api.presence.matching import Fence, FenceIndex, FenceMatch, Fix
from shared.boundary import Floats
from shared.geo import Area, Circle, Shape

_POINTS_PER_FENCE = 400
_ASKED_ALONE = 20
_SHOWN = 300
_UNDECIDED_M = 1e-6
"""So near to a circle two exact ways to measure need not agree; PostGIS's own errors are smaller."""
_ROUNDED_M = 1.1e-3
_ACCURACIES_M = (0.0, 10.0, 65.0)

COVERS = """
SELECT array_agg(ST_Covers(fence, ST_SetSRID(ST_MakePoint(x, y), 4326)) ORDER BY n)
FROM (SELECT ST_GeomFromWKB($1, 4326) AS fence OFFSET 0) AS one,
     unnest($2::float8[], $3::float8[]) WITH ORDINALITY AS point (x, y, n)
"""

DISTANCES = """
SELECT array_agg(ST_Distance(ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography,
                             ST_SetSRID(ST_MakePoint(x, y), 4326)::geography) ORDER BY n)
FROM unnest($3::float8[], $4::float8[]) WITH ORDINALITY AS point (x, y, n)
"""

Connection = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Disagreement:
    family: str
    shape: Shape
    point: tuple[float, float]
    what: str

    def document(self) -> dict[str, Any]:
        return {"family": self.family, **described(self.shape), "point": self.point,
                "what": self.what}  # fmt: skip

    def sentence(self) -> str:
        return f"{self.what}, at {self.point} of {str(described(self.shape))[:_SHOWN]}"


@dataclass(slots=True)
class Tally:
    """What came of a family of points."""

    family: str
    points: int = 0
    inside: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        return {"family": self.family, "points": self.points, "inside": self.inside,
                "disagreements": len(self.disagreements)}  # fmt: skip


async def check(
    connection: "asyncpg.Connection[asyncpg.Record]",
    family: Family,
    seed: int,
    points: int,
    advance: Callable[[int], None],
) -> Tally:
    """Ask about so many points; ``advance`` hears of each portion that is done."""
    tally = Tally(family.name)
    for shape, places in rounds(family, seed, points, _POINTS_PER_FENCE):
        answers, alone = _in_memory(shape, places)
        said = await _by_postgis(connection, shape, places)
        for place, matches, expected in zip(places.tolist(), answers, said, strict=True):
            what = _difference(shape, matches, expected)
            if what is not None:
                found = Disagreement(family.name, shape, (place[0], place[1]), what)
                tally.disagreements.append(found)
        if alone != answers[: len(alone)]:
            first = tuple(places[0].tolist())
            what = "asked alone it answers otherwise than among others"
            tally.disagreements.append(Disagreement(family.name, shape, first, what))
        tally.points += len(places)
        tally.inside += sum(match.inside for matches in answers for match in matches)
        advance(len(places))
    return tally


Answers = list[tuple[FenceMatch, ...]]


def _in_memory(shape: Shape, places: Floats) -> tuple[Answers, Answers]:
    """Of all the points together, and of the first ones each by itself."""
    index = FenceIndex.build([Fence("fence", "store", 1, shape)], 1)
    fixes = [
        Fix(lon, lat, _ACCURACIES_M[n % len(_ACCURACIES_M)])
        for n, (lon, lat) in enumerate(places.tolist())
    ]
    return index.match(fixes), [index.match([fix])[0] for fix in fixes[:_ASKED_ALONE]]


async def _by_postgis(
    connection: "asyncpg.Connection[asyncpg.Record]", shape: Shape, places: Floats
) -> Sequence[bool | float]:
    """Whether each is covered by an outline, or how far it is from the edge of a circle."""
    lon, lat = places.T.tolist()
    if isinstance(shape, Area):
        covered: Sequence[bool] = await connection.fetchval(COVERS, shape.wkb, lon, lat)
        return covered
    center = shape.center
    metres = await connection.fetchval(DISTANCES, center.lon, center.lat, lon, lat)
    edge: Sequence[float] = (np.array(metres) - shape.radius_m).tolist()
    return edge


def _difference(
    shape: Shape, matches: tuple[FenceMatch, ...], expected: bool | float
) -> str | None:
    inside = bool(matches) and matches[0].inside
    if not isinstance(shape, Circle):
        return None if inside is expected else f"inside is {inside}, PostGIS covers it: {expected}"
    if abs(expected) > _UNDECIDED_M and inside is not (expected <= 0):
        return f"inside is {inside}, PostGIS is {expected} m from the edge"
    if matches and abs(matches[0].distance_m - expected) > _ROUNDED_M:
        return f"{matches[0].distance_m} m from the edge, PostGIS {expected} m"
    return None

"""Flat outlines: the nearest edge, its side and the ground in a circle, one by one and as arrays."""

import math

import numpy as np
import pytest
import shapely

from services.geo_api.presence.drawing import draw
from services.geo_api.presence.geometry import shares
from services.geo_api.presence.nearest import nearest, sums
from services.geo_api.presence.outlines import RING, RINGS, STAR, Outlines
from shared.boundary import Floats
from tests.geo_api.presence.shapes import star

LON, LAT = 121.47, 31.23
Polygonal = shapely.Polygon | shapely.MultiPolygon


def _ring(corners: list[tuple[float, float]]) -> Floats:
    """Some 100 m for each unit."""
    return np.array([*corners, corners[0]]) * 0.001 + (LON, LAT)


ELL = _ring([(0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4)])
SQUARE = _ring([(0, 0), (2, 0), (2, 2), (0, 2)])
COMB = _ring([(0, 0), (9, 0), *((8.9 - n / 10, 1 + n % 2 * 5.0) for n in range(59))])
LONG_COMB = _ring([(0, 0), (9, 0), *((8.9 - n / 40, 1 + n % 2 * 5.0) for n in range(350))])
HOLED = shapely.Polygon(SQUARE, [_ring([(0.5, 0.5), (1.5, 0.7), (1, 1.5)])])
APART = shapely.MultiPolygon([HOLED, shapely.Polygon(SQUARE + 0.004)])


def drawn(geometry: Polygonal) -> tuple[Outlines, Polygonal]:
    """The outline and, from its own vertices, the polygon in its plane."""
    outlines = draw([shapely.to_wkb(shapely.orient_polygons(geometry), byte_order=1)]).outlines
    xy = np.column_stack((np.frombuffer(outlines.x), np.frombuffer(outlines.y)))
    breaks = np.flatnonzero(np.isnan(xy[:, 0]))
    rings = [part[~np.isnan(part[:, 0])] for part in np.split(xy, breaks)]
    plane: shapely.Geometry = shapely.Polygon()
    for ring in rings:
        plane = shapely.symmetric_difference(plane, shapely.Polygon(ring))
    assert isinstance(plane, Polygonal)
    return outlines, plane


def places(random: np.random.Generator, plane: Polygonal) -> Floats:
    """All around, the middle itself, vertices, feet on edges, and in line with vertices.

    Of an outline with hundreds of alike vertices some are enough, from all along it.
    """
    corners = shapely.get_coordinates(plane)
    size = np.abs(corners).max()
    shares_of = random.uniform(0, 1, (len(corners) - 1, 1))
    feet = corners[:-1] + shares_of * np.diff(corners, axis=0)
    some = slice(None, None, 13 if len(corners) > 300 else 1)  # odd: both ends of the teeth
    corners, feet = corners[some], feet[some]
    around = random.normal(0, size, (60, 2))
    rays = corners * random.uniform(0.2, 2, (len(corners), 1))
    return np.vstack((around, around / 50, [[0, 0]], corners, feet, rays))


@pytest.mark.parametrize(
    ("geometry", "kind"),
    [
        (shapely.Polygon(SQUARE), STAR),
        (shapely.Polygon(ELL), RING),
        (shapely.Polygon(COMB), RING),
        (shapely.Polygon(LONG_COMB), RING),
        (shapely.Polygon(LONG_COMB, [_ring([(3, 0.2), (4, 0.2), (4, 0.6)])]), RINGS),
        (HOLED, RINGS),
        (APART, RINGS),
    ],
)
def test_the_kinds_of_outlines_are_told_apart_and_measured_alike(
    geometry: Polygonal, kind: int
) -> None:
    _compare(np.random.default_rng(1), geometry, kind)


def test_outlines_around_their_middle_are_measured_like_any_others() -> None:
    random = np.random.default_rng(2)
    kinds = []
    for _ in range(25):
        ring = star(random, LON, LAT, float(10 ** random.uniform(-4.5, -2)))
        if shapely.Polygon(ring).is_valid:
            kinds.append(_compare(random, shapely.Polygon(ring)))
    assert kinds.count(STAR) > 8


def _compare(random: np.random.Generator, geometry: Polygonal, kind: int = -1) -> int:
    outlines, plane = drawn(geometry)
    assert kind in (-1, outlines.kind[0])
    x, y = places(random, plane).T
    first = np.zeros(len(x), np.intp)
    radius = random.uniform(0.01, 1.5, len(x)) * np.sqrt(plane.area)
    metres, side = outlines.all_nearest(first, x, y)
    many = outlines.all_sums(first, x, y, radius)
    exact = np.atleast_1d(shapely.distance(shapely.boundary(plane), shapely.points(x, y)))
    inside = np.atleast_1d(shapely.contains_xy(plane, x, y))
    for n, place in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        assert nearest(outlines, 0, *place) == (metres[n], side[n])
        assert metres[n] == pytest.approx(exact[n], abs=1e-9)
        assert metres[n] < 1e-6 or side[n] in (0, 1 if inside[n] else -1)
        assert side[n] != 0 or outlines.kind[0] == RINGS or metres[n] < 1e-6
        one = sums(outlines, 0, *place, float(radius[n]))
        assert one == (many[0][n], many[1][n])
        if metres[n] < radius[n] - 1e-6 and n % 5 == 0:
            _, share = shares(one, plane.area, float(radius[n]))
            circle = shapely.Point(place).buffer(radius[n], quad_segs=64)
            common = shapely.intersection(circle, plane).area / (math.pi * radius[n] ** 2)
            assert share == pytest.approx(common, abs=5e-4)
    return outlines.kind[0]

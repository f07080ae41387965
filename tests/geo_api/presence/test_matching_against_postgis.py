import numpy as np
import pytest
import shapely

from services.geo_api.presence.matching import Fix
from shared.geo import WGS84, Area, Circle, LonLat
from tests.geo_api.presence.conftest import PostGIS
from tests.geo_api.presence.shapes import (
    awkward_points,
    index_of,
    match_one,
    measured,
    random_outline,
)

pytestmark = pytest.mark.slow

COVERS = """
SELECT ST_Covers(ST_GeomFromWKB($1, 4326), ST_SetSRID(ST_MakePoint(x, y), 4326))
FROM unnest($2::float8[], $3::float8[]) WITH ORDINALITY AS point (x, y, n) ORDER BY n
"""

GEOGRAPHY_DISTANCE = """
WITH edge AS (SELECT ST_Boundary(ST_Segmentize(ST_GeomFromWKB($1, 4326), $4))::geography AS line)
SELECT ST_Distance(line, ST_SetSRID(ST_MakePoint(x, y), 4326)::geography)
FROM edge, unnest($2::float8[], $3::float8[]) WITH ORDINALITY AS point (x, y, n) ORDER BY n
"""

DISTANCE_TO_POINTS = """
WITH spot AS (
    SELECT (ST_DumpPoints(ST_Segmentize(ST_GeomFromWKB($1, 4326), $4))).geom::geography AS at
)
SELECT (SELECT min(ST_Distance(at, ST_SetSRID(ST_MakePoint(x, y), 4326)::geography)) FROM spot)
FROM unnest($2::float8[], $3::float8[]) WITH ORDINALITY AS point (x, y, n) ORDER BY n
"""

CIRCLE_DISTANCE = """
SELECT ST_Distance(ST_SetSRID(ST_MakePoint(a, b), 4326)::geography,
                   ST_SetSRID(ST_MakePoint(x, y), 4326)::geography)
FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::float8[])
     WITH ORDINALITY AS pair (a, b, x, y, n) ORDER BY n
"""


def test_inside_an_outline_is_what_postgis_covers_even_a_hair_from_an_edge(
    postgis: PostGIS,
) -> None:
    random = np.random.default_rng(11)
    asked = inside = 0
    for number in range(90):
        lon = 179.99 if number % 3 == 0 else None
        area = random_outline(random, 10 ** random.uniform(-5, 1), lon=lon)
        points = awkward_points(random, area, 120)
        points = points[np.abs(points[:, 0]) <= 180]
        covers = postgis.ask(COVERS, shapely.to_wkb(area.geometry), *points.T.tolist())
        index = index_of(area)
        for point, matches, expected in zip(
            points, index.match([Fix(lon, lat, 0.0) for lon, lat in points]), covers, strict=True
        ):
            found = any(match.inside for match in matches)
            assert found is expected, (shapely.to_wkt(area.geometry), point.tolist())
        asked, inside = asked + len(points), inside + sum(covers)
    assert asked > 40_000
    assert 0.2 < inside / asked < 0.8


def test_distance_to_an_outline_is_never_more_than_postgis_finds(postgis: PostGIS) -> None:
    """PostGIS chooses the nearest place on a sphere and measures it on the ellipsoid.

    So it may choose a place that is not quite the nearest, by no more than the flattening.
    """
    random = np.random.default_rng(13)
    for _ in range(40):
        size_deg = 10 ** random.uniform(-4, 0.3)
        area = random_outline(random, size_deg)
        middle = np.array(area.geometry.centroid.coords[0])
        points = middle + random.normal(0, size_deg, (60, 2))
        step = max(0.0005, size_deg / 500)
        theirs = np.array(
            postgis.ask(GEOGRAPHY_DISTANCE, shapely.to_wkb(area.geometry), *points.T.tolist(), step)
        )
        ours = np.abs([match.distance_m for match in measured(area, points.tolist())])
        assert (ours <= theirs + 5e-3 + 1e-6 * theirs).all()
        assert (ours >= theirs * (1 - 0.007) - 5e-3).all()


def test_distance_to_an_outline_is_that_to_its_nearest_point(postgis: PostGIS) -> None:
    random = np.random.default_rng(17)
    for number in range(16):
        size_deg = 10 ** random.uniform(-4, 0.3)
        area = random_outline(random, size_deg, lon=179.9 if number % 4 == 0 else None)
        joined = _joined(area)
        middle = np.array(joined.centroid.coords[0])
        points = middle + random.normal(0, size_deg, (8, 2))
        step = joined.length / 15_000
        theirs = np.array(
            postgis.ask(DISTANCE_TO_POINTS, shapely.to_wkb(joined), *points.T.tolist(), step)
        )
        points[:, 0] -= 360 * np.rint(points[:, 0] / 360)
        ours = np.abs([match.distance_m for match in measured(area, points.tolist())])
        spacing_m = step * 111_700
        missed = np.minimum(spacing_m / 2, spacing_m**2 / (8 * np.maximum(theirs, 1e-9)))
        assert (ours <= theirs + 5e-3 + 1e-6 * theirs).all()
        assert (ours >= theirs - missed - 5e-3 - 1e-6 * theirs).all()


def _joined(area: Area) -> shapely.Polygon | shapely.MultiPolygon:
    """The outline in longitudes that go on past 180, without cuts."""
    if not isinstance(area.geometry, shapely.MultiPolygon):
        return area.geometry
    moved = shapely.transform(area.geometry, lambda xy: np.column_stack((xy[:, 0] % 360, xy[:, 1])))
    joined = shapely.union_all(shapely.set_precision(moved, 1e-12))
    assert isinstance(joined, shapely.Polygon)
    return joined


def test_inside_a_circle_is_what_postgis_measures(postgis: PostGIS) -> None:
    random = np.random.default_rng(19)
    count = 5_000
    centers = np.column_stack((random.uniform(-180, 180, count), random.uniform(-85, 85, count)))
    radii = 10 ** random.uniform(0, 5, count)
    shares = 1 + random.choice([-1e-3, -1e-7, 0, 1e-7, 1e-3, -0.5], count)
    azimuths = random.uniform(0, 360, count)
    lon, lat, _ = WGS84.fwd(centers[:, 0], centers[:, 1], azimuths, radii * shares)
    theirs = np.array(postgis.ask(CIRCLE_DISTANCE, *centers.T.tolist(), lon.tolist(), lat.tolist()))
    compared = 0
    for center, radius, x, y, distance in zip(centers, radii, lon, lat, theirs, strict=True):
        found = match_one(Circle(LonLat(*center), float(radius)), Fix(float(x), float(y), 0.0))
        from_edge = distance - radius
        if found is None:
            assert from_edge > 20
            continue
        assert found.distance_m == pytest.approx(from_edge, abs=2e-3)
        if abs(from_edge) > 1e-6:
            assert found.inside is bool(from_edge <= 0)
            compared += 1
    assert compared > 3_000

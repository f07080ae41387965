"""A store that names no time zone has that of its place."""

from typing import Any

import httpx
import pytest

from services.geo_api.places import zones
from services.geo_api.places.zones import zone_at
from shared.errors import Malformed
from shared.lonlat import LonLat
from tests.geo_api.places.factories import store
from tests.geo_api.places.test_import import send, send_geojson

HEADER = "id,name,lat,lon,timezone\n"


def placed(latitude: float, longitude: float, **changes: Any) -> dict[str, Any]:
    body = store(latitude=latitude, longitude=longitude, **changes)
    if "timezone" not in changes:
        del body["timezone"]
    return body


async def zone(client: httpx.AsyncClient, store_id: str) -> str:
    return str((await client.get(f"/v1/stores/{store_id}")).json()["timezone"])


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (40.7419, -73.9893, "America/New_York"),
        (31.2304, 121.4737, "Asia/Shanghai"),
        (22.2819, 114.1588, "Asia/Hong_Kong"),
        (25.0340, 121.5645, "Asia/Taipei"),
        (43.8256, 87.6168, "Asia/Urumqi"),
        (-16.8000, 179.9900, "Pacific/Fiji"),
        (30.0000, -40.0000, "Etc/GMT+3"),
    ],
)
async def test_without_a_time_zone_a_store_has_that_of_its_place(
    client: httpx.AsyncClient, latitude: float, longitude: float, expected: str
) -> None:
    answer = await client.put("/v1/stores/s1", json=placed(latitude, longitude))

    assert answer.status_code == 201, answer.text
    assert answer.json()["timezone"] == expected
    again = await client.put("/v1/stores/s1", json=placed(latitude, longitude, timezone=expected))
    assert (again.status_code, again.json()["version"]) == (200, 1)


async def test_a_time_zone_that_is_given_wins(client: httpx.AsyncClient) -> None:
    body = placed(43.8256, 87.6168, timezone="Asia/Shanghai")

    answer = await client.put("/v1/stores/s1", json=body)

    assert answer.json()["timezone"] == "Asia/Shanghai"


async def test_the_place_is_that_on_wgs84(client: httpx.AsyncClient) -> None:
    """Taken as it stands, this pair lies in China; what it means lies in Myanmar."""
    pair = {"latitude": 24.0, "longitude": 97.614}
    plain = await client.put("/v1/stores/s1", json=placed(**pair))
    shifted = await client.put("/v1/stores/s2", json=placed(**pair, datum="gcj02"))

    assert plain.json()["timezone"] == "Asia/Shanghai"
    assert shifted.json()["timezone"] == "Asia/Yangon"


async def test_a_row_has_its_own_time_zone_else_the_import_s_else_that_of_its_place(
    client: httpx.AsyncClient,
) -> None:
    rows = (
        HEADER + "s1,One,40.7,-74.0,America/Chicago\ns2,Two,40.7,-74.0,\ns3,Three,35.68,139.76,\n"
    )

    with_fallback = await send(client, rows, "timezone=America/Denver")
    assert with_fallback.json()["refused"] == []
    found = [await zone(client, store_id) for store_id in ("s1", "s2", "s3")]
    assert found == ["America/Chicago", "America/Denver", "America/Denver"]

    without = await send(client, rows)
    assert without.json()["refused"] == []
    found = [await zone(client, store_id) for store_id in ("s1", "s2", "s3")]
    assert found == ["America/Chicago", "America/New_York", "Asia/Tokyo"]


async def test_an_outline_without_a_time_zone_has_that_of_a_point_within(
    client: httpx.AsyncClient,
) -> None:
    ring = [[77.59, 12.97], [77.60, 12.97], [77.60, 12.98], [77.59, 12.98], [77.59, 12.97]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "geometry": geometry, "properties": {"id": "mall", "name": "M"}}

    assert (await send_geojson(client, [feature])).json()["refused"] == []

    assert await zone(client, "mall") == "Asia/Kolkata"


async def test_a_row_with_an_unknown_time_zone_is_refused_and_not_given_another(
    client: httpx.AsyncClient,
) -> None:
    report = (await send(client, HEADER + "s1,One,40.7,-74.0,Nowhere/Land\n")).json()

    assert [fault["pointer"] for fault in report["refused"][0]["errors"]] == ["/timezone"]


def test_where_no_time_zone_is_known_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_lon: float, _lat: float) -> None:
        return None

    monkeypatch.setattr(zones, "zone_of", nowhere)

    with pytest.raises(Malformed) as refused:
        zone_at(LonLat(10, 10))

    assert refused.value.faults[0].pointer == "/timezone"

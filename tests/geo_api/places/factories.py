"""Bodies of requests, with keyword overrides."""

from typing import Any

import httpx


def store(**changes: Any) -> dict[str, Any]:
    body = {
        "name": "Madison Square Park",
        "brand": "Demo Coffee",
        "latitude": 40.7419,
        "longitude": -73.9893,
        "datum": "wgs84",
        "timezone": "America/New_York",
        "address": "Madison Ave & E 23rd St",
        "tags": ["flagship", "manhattan"],
    }
    return body | changes


def circle(store_id: str = "s1", radius_m: float = 100, **changes: Any) -> dict[str, Any]:
    geometry = {"type": "Circle", "coordinates": [-73.9893, 40.7419], "radius_m": radius_m}
    return {"store_id": store_id, "datum": "wgs84", "geometry": geometry} | changes


def outline(*ring: list[float], store_id: str = "s1") -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [list(ring)]}
    return {"store_id": store_id, "geometry": geometry}


async def make_store(client: httpx.AsyncClient, store_id: str = "s1", **changes: Any) -> None:
    answer = await client.put(f"/v1/stores/{store_id}", json=store(**changes))
    assert answer.status_code == 201, answer.text


async def make_circle(
    client: httpx.AsyncClient, geofence_id: str = "g1", store_id: str = "s1", **changes: Any
) -> None:
    answer = await client.put(f"/v1/geofences/{geofence_id}", json=circle(store_id, **changes))
    assert answer.status_code == 201, answer.text

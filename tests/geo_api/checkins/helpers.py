"""Check-ins as a caller words them, and places to check in at."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI

LAT, LON = 40.7419, -73.9893
METRES_PER_DEGREE = 111_320.0
"""Of latitude; good enough to place test fixes some metres off."""


def body(**changes: Any) -> dict[str, Any]:
    """A check-in at the centre of the test store, by a new person, with a vouched consent."""
    check_in = {
        "id": str(uuid4()),
        "kind": "manual",
        "latitude": LAT,
        "longitude": LON,
        "accuracy_m": 10,
        "occurred_at": datetime.now(UTC).isoformat(),
        "subject": {"namespace": "app_user", "issuer": "demo", "value": uuid4().hex},
        "consent": {
            "purpose": "visit_history",
            "version": "2026-11",
            "given_at": "2026-11-20T09:00:00Z",
        },
    }
    return {**check_in, **changes}


def person(value: str) -> dict[str, str]:
    return {"namespace": "app_user", "issuer": "demo", "value": value}


def north(metres: float) -> float:
    """The latitude so far north of the test store's centre."""
    return LAT + metres / METRES_PER_DEGREE


def ago(**by: float) -> str:
    return (datetime.now(UTC) - timedelta(**by)).isoformat()


async def known(app: FastAPI, geofence_id: str) -> None:
    """Wait until the process holds a geofence in memory."""
    async with asyncio.timeout(5):
        while all(f.geofence_id != geofence_id for f in app.state.fences.current.index.fences):
            await asyncio.sleep(0.005)


async def open_store(
    geo: httpx.AsyncClient,
    app: FastAPI,
    headers: dict[str, str],
    store_id: str = "s1",
    radius_m: float = 100,
) -> None:
    """A store with a circle around the test position, in force in ``app``."""
    store = {
        "name": "Store",
        "latitude": LAT,
        "longitude": LON,
        "timezone": "America/New_York",
        "tags": ["test"],
    }
    response = await geo.put(f"/v1/stores/{store_id}", json=store, headers=headers)
    assert response.status_code == 201, response.text
    geometry = {"type": "Circle", "coordinates": [LON, LAT], "radius_m": radius_m}
    fence = {"store_id": store_id, "datum": "wgs84", "geometry": geometry}
    response = await geo.put(f"/v1/geofences/{store_id}", json=fence, headers=headers)
    assert response.status_code == 201, response.text
    await known(app, store_id)

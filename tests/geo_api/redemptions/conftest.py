import asyncio

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Tokens
from tests.geo_api.redemptions.helpers import SetClock, Till

STORE = {
    "name": "Store",
    "latitude": 40.7419,
    "longitude": -73.9893,
    "timezone": "America/New_York",
    "tags": ["test"],
}


@pytest.fixture
def clock(geo_app: FastAPI) -> SetClock:
    """The clock of geo_api, standing still at ``START``."""
    clock = SetClock()
    geo_app.state.clock = clock
    return clock


@pytest.fixture
async def till(geo: httpx.AsyncClient, geo_app: FastAPI, clock: SetClock, tokens: Tokens) -> Till:
    """The till of store s1, where Al is on shift; store s2 is open too."""
    for store_id in ("s1", "s2"):
        made = await geo.put(f"/v1/stores/{store_id}", json=STORE, headers=tokens("server"))
        assert made.status_code == 201, made.text
    async with asyncio.timeout(5):
        while not {"s1", "s2"} <= geo_app.state.fences.current.stores.keys():
            await asyncio.sleep(0.01)
    return Till(geo, tokens("staff", name="al", store_id="s1"))


@pytest.fixture
def other_till(till: Till, tokens: Tokens) -> Till:
    """The till of store s2."""
    return Till(till.geo, tokens("staff", name="bo", store_id="s2"), "s2")

"""A store to check in at."""

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import open_store


@pytest.fixture
async def server(geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens) -> dict[str, str]:
    """Headers of a server key; the test store is open and known to the process."""
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    return headers

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.shared.platform import build_app, calling


@pytest.fixture
def probe_app(installation_keys: Path) -> FastAPI:
    return build_app(installation_keys, access_log=False, max_body_bytes=8192)


@pytest.fixture
async def probe(probe_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(probe_app) as client:
        yield client

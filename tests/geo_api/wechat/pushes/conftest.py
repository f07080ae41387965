import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import DatabaseUrls
from tests.geo_api.wechat.pushes.phone import WeChat


@pytest.fixture
async def wechat(geo: httpx.AsyncClient, geo_app: FastAPI, database_urls: DatabaseUrls) -> WeChat:
    """A service account in secure mode and XML, which implies no consent."""
    return await WeChat(geo, geo_app, database_urls).connect()

"""What callers hear when the database keeps a group waiting, or takes it back."""

from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from services.geo_api.subjects import repository as subjects
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.helpers import body
from tests.geo_api.checkins.tables import rows

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"


@pytest.mark.parametrize(
    ("error", "attempts", "slug"),
    [
        (asyncpg.DeadlockDetectedError, 5, "busy"),
        (asyncpg.SerializationError, 5, "busy"),
        (asyncpg.LockNotAvailableError, 1, "busy"),
        (asyncpg.QueryCanceledError, 1, "busy"),
        (asyncpg.AdminShutdownError, 5, "unconfirmed"),
        (ConnectionResetError, 5, "unconfirmed"),
    ],
)
async def test_trouble_that_goes_on_is_told_as_passing_and_nothing_is_kept(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    attempts: int,
    slug: str,
) -> None:
    tried: list[Exception] = []

    async def refuse(*_: Any) -> Any:
        tried.append(error("it is as it is"))
        raise tried[-1]

    before = await rows(database_urls)
    with monkeypatch.context() as patch:
        patch.setattr(subjects, "lock_and_read", refuse)
        sent = body()
        answer = await geo.post(PATH, json=sent, headers=server)
        assert len(tried) == attempts
        batch = await geo.post(f"{PATH}/batch", json=[sent, {}], headers=server)
    assert (answer.status_code, answer.json()["type"]) == (503, f"/problems/{slug}")
    assert int(answer.headers["retry-after"]) >= 1
    lines = [orjson.loads(line) for line in batch.content.splitlines()]
    assert [(line["line"], line["http_status"]) for line in lines] == [(1, 503), (2, 422)]
    assert await rows(database_urls) == before
    assert (await geo.post(PATH, json=sent, headers=server)).status_code == 201

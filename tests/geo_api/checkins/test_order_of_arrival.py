"""The same fixes in any order, in any batches, swept in between: the same visits, told the same."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
from fastapi import FastAPI

from services.geo_api.presence.service import expire_silent_visits
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.helpers import body, north, person

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"
DAY = datetime(2026, 11, 20, tzinfo=UTC)
PLACES_M = (0, 0, 0, 115, 500)
"""Inside, in doubt, and outside of the test store of 100 m."""

Stay = tuple[str, str | None, str | None]
"""When entered, when left, why closed; open where only silence closed it."""


def day_of(random: Random, name: str) -> list[dict[str, Any]]:
    """A person's day, with pauses around the gap and moments that occur twice."""
    minutes, at = [], 0.0
    for _ in range(14):
        at += random.choice((0, 1, 5, 29, 30, 31, 45))
        minutes.append(at)
    return [
        body(
            id=str(UUID(int=random.getrandbits(128), version=4)),
            subject=person(name),
            kind="background",
            latitude=north(random.choice(PLACES_M)),
            occurred_at=(DAY + timedelta(minutes=minute)).isoformat(),
            consent={**body()["consent"], "given_at": "2026-11-01T00:00:00Z"},
        )
        for minute in minutes
    ]


async def send(
    geo: httpx.AsyncClient, headers: dict[str, str], batches: Sequence[Sequence[dict[str, Any]]]
) -> None:
    for batch in batches:
        answer = await geo.post(f"{PATH}/batch", json=list(batch), headers=headers)
        assert answer.text.count('"http_status":201') == len(batch), answer.text


async def stays(database: "asyncpg.Connection[Any]", subject: UUID) -> set[Stay]:
    rows = await database.fetch("SELECT * FROM geo.visits WHERE subject_id = $1", subject)
    return {
        (str(row["entered_at"]), None, None)
        if row["provisional"] or row["state"] == "open"
        else (str(row["entered_at"]), str(row["left_at"]), row["closed_by"])
        for row in rows
    }


async def told(database: "asyncpg.Connection[Any]", subject: UUID) -> dict[str, dict[str, str]]:
    """What stands of each visit once all its news has come, by type."""
    effective: dict[str, dict[str, Any]] = {}
    rows = await database.fetch("SELECT payload FROM geo.outbox WHERE subject_id = $1", subject)
    for fact in (orjson.loads(row["payload"]) for row in rows):
        known = effective.get(fact["id"])
        if known is None or known["revision"] < fact["revision"]:
            effective[fact["id"]] = fact
    standing: dict[str, dict[str, str]] = {}
    for fact in effective.values():
        if fact["type"].startswith("visit_") and not fact["retracted"]:
            moment = str(datetime.fromisoformat(fact["time"]))
            standing.setdefault(fact["data"]["visit_id"], {})[fact["type"]] = moment
    return standing


async def stored(database: "asyncpg.Connection[Any]", subject: UUID) -> dict[str, dict[str, str]]:
    """What ought to stand of each visit, from the table of visits."""
    expected: dict[str, dict[str, str]] = {}
    for row in await database.fetch("SELECT * FROM geo.visits WHERE subject_id = $1", subject):
        news = {"visit_entered": str(row["entered_at"])}
        if row["state"] != "open":
            news[f"visit_{row['state']}"] = str(row["left_at"])
        expected[str(row["visit_id"])] = news
    return expected


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_gives_the_same_visits_and_news(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    database_urls: DatabaseUrls,
    seed: int,
) -> None:
    random = Random(seed)
    database = await asyncpg.connect(database_urls.superuser.replace("+asyncpg", ""))
    straight = day_of(Random(seed), "straight")
    await send(geo, server, [straight])
    expected = await stays(database, await _subject(database))
    assert expected
    for turn in range(4):
        shuffled = random.sample(fixes := day_of(Random(seed), f"turn {turn}"), len(straight))
        cuts = sorted(random.sample(range(1, len(fixes)), 4))
        parts = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        for part in parts:
            await send(geo, server, [part])
            later = datetime.now(UTC) + timedelta(hours=1)
            async with geo_app.state.database.begin() as connection:
                await expire_silent_visits(connection, geo_app.state.feed_tables, later)
        subject = await _subject(database)
        assert await stays(database, subject) == expected
        assert await told(database, subject) == await stored(database, subject)
    await database.close()


async def _subject(database: "asyncpg.Connection[Any]") -> UUID:
    """Whoever came last."""
    latest = "SELECT subject_id FROM geo.subjects ORDER BY created_at DESC LIMIT 1"
    subject: UUID = await database.fetchval(latest)
    return subject

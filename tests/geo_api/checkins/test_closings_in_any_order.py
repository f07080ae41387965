"""Places that close amid a person's day: the same visits, whatever came to be known first."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.geo_api.checkins import repository
from services.geo_api.checkins.service.settling import SETTLES_AFTER, settle_closings
from services.geo_api.presence import closing_rows
from services.geo_api.presence import repository as presence
from services.geo_api.presence.domain import ClosedBy, Closing, Visit
from services.geo_api.presence.folding import Stays, fold
from services.geo_api.presence.rule import GAP
from services.geo_api.presence.service import close_visits_of_store
from shared.ids import uuid7
from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import body, known, north, open_store, person

pytestmark = pytest.mark.slow

PEOPLE = 50
FIXES = 12
PLACES = ((0, 10), (0, 10), (98, 60), (115, 10), (400, 10), (400, 80))
"""Metres from the centre of a store of 100 m, and accuracy: in, at the edge, in doubt, vaguely out."""


def day_of(random: Random, start: datetime) -> list[dict[str, Any]]:
    """A day without its person: pauses around the limits of the rule, moments that occur twice."""
    at, day = start, []
    for _ in range(FIXES):
        at += timedelta(seconds=random.choice((0, 5, 60, 300, 600, 1_700, 1_801)))
        metres, accuracy_m = random.choice(PLACES)
        day.append(
            {
                "id": str(UUID(int=random.getrandbits(128), version=4)),
                "kind": "background",
                "latitude": north(metres),
                "accuracy_m": accuracy_m,
                "occurred_at": at.isoformat(),
            }
        )
    return day


def moment(fix: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(fix["occurred_at"])


def shuffled(
    random: Random, day: Sequence[dict[str, Any]], parts: int
) -> list[list[dict[str, Any]]]:
    """For each person the same day in an order of her own, cut into parts; some come empty."""
    sent: list[list[dict[str, Any]]] = [[] for _ in range(parts)]
    for number in range(PEOPLE):
        for fix in random.sample(day, len(day)):
            whose = {"subject": person(f"person {number}"), "consent": vouched()}
            sent[random.randrange(parts)].append(body(**fix, **whose))
    return sent


def vouched() -> dict[str, str]:
    return {**body()["consent"], "given_at": "2026-11-01T00:00:00Z"}


async def send(
    geo: httpx.AsyncClient, headers: dict[str, str], part: Sequence[dict[str, Any]]
) -> None:
    answer = await geo.post("/v1/check-ins/batch", json=list(part), headers=headers)
    refused = [line for line in answer.text.splitlines() if '"http_status":201' not in line]
    assert not refused


async def settle(app: FastAPI) -> None:
    async with app.state.database.begin() as connection:
        later = datetime.now(UTC) + 2 * SETTLES_AFTER
        await settle_closings(connection, app.state.committer.tools, later)


def facts(visits: Iterable[Visit]) -> set[tuple[Any, ...]]:
    return {
        (v.store_id, v.entered_at, v.last_inside_at, *(() if v.may_go_on else _end(v)))
        for v in visits
    }


def _end(visit: Visit) -> tuple[Any, ...]:
    return visit.state, visit.left_at, visit.closed_by


async def found(app: FastAPI) -> list[set[tuple[Any, ...]]]:
    """Each person's visits, which are those that the fold makes of what is stored, from nothing."""
    early = datetime(2000, 1, 1, tzinfo=UTC)
    async with app.state.database.begin() as connection:
        rows = await connection.execute(text("SELECT subject_id FROM geo.subjects"))
        people = [row.subject_id for row in rows]
        fixes = await repository.fixes_since(connection, dict.fromkeys(people, early), GAP)
        rows = await connection.execute(
            text("SELECT at, store_id, closed_by, index_version FROM geo.closings")
        )
        closings = closing_rows.read(tuple(row) for row in rows)
        stored = await presence.since(connection, dict.fromkeys(people, early))
    assert len(people) == PEOPLE
    of_each = []
    for subject in people:
        stays = Stays(subject, {}, None, closings=[*closings])
        visits = facts(visit for visit in stored if visit.subject_id == subject)
        assert visits == facts(fold(fixes[subject], stays, uuid7))
        of_each.append(visits)
    return of_each


@pytest.mark.parametrize("seed", range(4))
async def test_a_closing_for_a_while_may_become_known_at_any_time(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens, seed: int
) -> None:
    """Fifty orders of one day, twice with a closing in between that lies within the day."""
    random, headers = Random(seed), tokens("server")
    await open_store(geo, geo_app, headers)
    day = day_of(random, datetime(2026, 11, 20, tzinfo=UTC))
    first, second, third, last = shuffled(random, day, 4)
    closings = [
        Closing(
            moment(random.choice(day)) + timedelta(seconds=random.choice((-1, 0, 30, 400))),
            "s1",
            ClosedBy.STORE_CLOSED,
        )
        for _ in range(2)
    ]
    await send(geo, headers, first)
    for closing, part in zip(closings, (second, third), strict=True):
        async with geo_app.state.database.begin() as connection:
            tables = geo_app.state.committer.tools.feed_tables
            await close_visits_of_store(connection, tables, "s1", closing.at, closing.closed_by)
        if random.random() < 0.5:
            await settle(geo_app)
        await send(geo, headers, part)
    await settle(geo_app)
    await send(geo, headers, last)
    visits = await found(geo_app)
    assert all(each == visits[0] for each in visits)


@pytest.mark.parametrize("what", ["stores", "geofences"])
@pytest.mark.parametrize("seed", range(2))
async def test_what_is_removed_amid_a_day_ends_the_visits_that_the_fixes_tell_of(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens, seed: int, what: str
) -> None:
    """A fix that comes later finds no geofence, so what each one said is what must agree.

    The process that takes it may not know yet, and some clocks are ahead.
    """
    random, headers = Random(seed), tokens("server")
    await open_store(geo, geo_app, headers)
    day = day_of(random, datetime.now(UTC))
    ahead = max(moment(fix) for fix in day) - datetime.now(UTC) - timedelta(minutes=4)
    day = [{**fix, "occurred_at": (moment(fix) - ahead).isoformat()} for fix in day]
    inside = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    day.append({"id": str(uuid7()), "kind": "background", "occurred_at": inside})
    first, second, third, last = shuffled(random, day, 4)
    await send(geo, headers, first)
    await send(geo, headers, second)
    assert (await geo.delete(f"/v1/{what}/s1", headers=headers)).is_success
    await send(geo, headers, third)
    await settle(geo_app)
    await send(geo, headers, last)
    visits = await found(geo_app)
    reason = {"stores": "store_closed", "geofences": "fence_removed"}[what]
    assert any(reason in visit for each in visits for visit in each)


async def test_a_first_fix_that_comes_after_its_stores_closing_is_ended_by_it(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    await known(geo_app, "s1")
    at = datetime.now(UTC) - timedelta(minutes=5)
    tables = geo_app.state.committer.tools.feed_tables
    async with geo_app.state.database.begin() as connection:
        await close_visits_of_store(connection, tables, "s1", at, ClosedBy.STORE_CLOSED)
    before = (at - timedelta(minutes=1)).isoformat()
    answer = await geo.post("/v1/check-ins", json=body(occurred_at=before), headers=headers)
    [visit] = answer.json()["visits"]
    assert (visit["state"], visit["closed_by"]) == ("expired", "store_closed")
    after = (at + timedelta(minutes=1)).isoformat()
    answer = await geo.post("/v1/check-ins", json=body(occurred_at=after), headers=headers)
    assert [visit["state"] for visit in answer.json()["visits"]] == ["open"]


async def test_a_visit_that_the_closing_did_not_see_is_ended_once_it_is_settled(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    """As if its check-in had been decided while the place was closed."""
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    await geo.post("/v1/check-ins", json=body(), headers=headers)
    missed = Closing(datetime.now(UTC) + timedelta(seconds=1), "s1", ClosedBy.STORE_CLOSED)
    async with geo_app.state.database.begin() as connection:
        await closing_rows.note(connection, missed)
    await settle(geo_app)
    async with geo_app.state.database.begin() as connection:
        rows = await connection.execute(text("SELECT closed_by, revision FROM geo.visits"))
        assert [tuple(row) for row in rows] == [("store_closed", 2)]
        assert await closing_rows.unsettled(connection, missed.at + timedelta(hours=1), 9) == []

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from shared.auth import Role, TokenVerifier
from shared.db import Database
from shared.feed.endpoints import feed_router
from shared.feed.tables import Lane
from shared.keys import load_geo_keys
from shared.limits import build_limiter
from shared.pagination import encode_cursor
from shared.problems import install_problem_handlers
from tests.shared.feed.conftest import an_event
from tests.shared.feed.deliverer import GEO_FEED
from tests.shared.feed.waiting import OUTBOX, parked, tell, waiting

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

Tokens = Callable[..., dict[str, str]]


@pytest.fixture
async def operator(
    database: Database, installation_keys: Path, tokens: Tokens
) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(feed_router(GEO_FEED))
    install_problem_handlers(app)
    app.state.database = database
    app.state.verifier = TokenVerifier(load_geo_keys(installation_keys / "geo").public)
    app.state.limiter = build_limiter(
        key_per_s=1_000, subject_per_s=1_000, code_guesses_per_min=1_000
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://geo", headers=tokens("server")
    ) as client:
        yield client


async def park(database: Database, count: int, kind: str = "check_in") -> list[UUID]:
    """Park new events; their ids, oldest first."""
    events = [an_event() for _ in range(count)]
    ids = [event.event_id for event in events]
    await tell(database, events)
    async with database.begin() as connection:
        await connection.execute(
            update(OUTBOX)
            .where(OUTBOX.c.event_id.in_(ids))
            .values(parked_at=NOON, last_error="unknown store", type=kind, attempts=12)
        )
    return ids


async def test_the_operator_sees_what_waits_and_pages_through_what_is_parked(
    operator: httpx.AsyncClient, database: Database
) -> None:
    ids = await park(database, 5)
    await tell(database, [an_event() for _ in range(3)])
    seen, cursor = list[str](), None
    for expected in (2, 2, 1):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        feed = (await operator.get("/v1/feed", params=params)).raise_for_status().json()
        assert (feed["waiting"], feed["parked"], len(feed["items"])) == (3, 5, expected)
        seen += [item["event_id"] for item in feed["items"]]
        cursor = feed["next_cursor"]
    assert cursor is None
    assert seen == [str(event_id) for event_id in ids]
    assert feed["oldest_age_s"] >= 0
    assert set(feed["items"][0]) == {
        "event_id", "type", "reason", "attempts", "created_at", "parked_at"
    }  # fmt: skip
    assert feed["items"][0]["reason"] == "unknown store"


async def test_parked_events_are_listed_by_type(
    operator: httpx.AsyncClient, database: Database
) -> None:
    await park(database, 2)
    (expired,) = await park(database, 1, "visit_expired")
    feed = (await operator.get("/v1/feed", params={"type": "visit_expired"})).json()
    assert [item["event_id"] for item in feed["items"]] == [str(expired)]


@pytest.mark.parametrize("by", ["id", "id of a type", "type", "all"])
async def test_chosen_events_are_replayed_as_if_they_had_never_failed(
    operator: httpx.AsyncClient, database: Database, by: str
) -> None:
    first, second = await park(database, 2)
    (other,) = await park(database, 1, "visit_expired")
    body, replayed = {
        "id": ({"event_ids": [str(first), str(uuid4())]}, {first}),
        "id of a type": ({"event_ids": [str(first), str(other)], "type": "check_in"}, {first}),
        "type": ({"all": True, "type": "check_in"}, {first, second}),
        "all": ({"all": True}, {first, second, other}),
    }[by]
    answer = await operator.post("/v1/feed/replay", json=body)
    assert answer.json() == {"replayed": len(replayed)}
    assert set(await parked(database)) == {first, second, other} - replayed
    async with database.begin() as connection:
        row = (await connection.execute(select(OUTBOX).where(OUTBOX.c.event_id == first))).one()
    assert (row.attempts, row.last_error) == (0, None)
    assert row.next_attempt_at > NOON


async def test_a_discard_throws_away_parked_events_only(
    operator: httpx.AsyncClient, database: Database
) -> None:
    first, second = await park(database, 2)
    await tell(database, [an_event()])
    answer = await operator.post("/v1/feed/discard", json={"event_ids": [str(first)]})
    assert answer.json() == {"discarded": 1}
    assert set(await parked(database)) == {second}
    assert (await operator.post("/v1/feed/discard", json={"all": True})).json() == {"discarded": 1}
    assert await waiting(database) == 1


async def test_what_is_urgent_is_discarded_by_its_id_only(
    operator: httpx.AsyncClient, database: Database
) -> None:
    (erasure,) = await park(database, 1, "subject_erased")
    async with database.begin() as connection:
        await connection.execute(update(OUTBOX).values(lane=int(Lane.URGENT)))
    await park(database, 2)
    for body, discarded in (
        ({"all": True}, 2),
        ({"all": True, "type": "subject_erased"}, 0),
        ({"event_ids": [str(erasure)]}, 1),
    ):
        answer = await operator.post("/v1/feed/discard", json=body)
        assert answer.json() == {"discarded": discarded}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/event_ids"),
        ({"type": "check_in"}, "/event_ids"),
        ({"all": False}, "/all"),
        ({"all": True, "event_ids": ["0f4f7cf4-5f61-5d0c-9d6c-2f6f7b1a2c3d"]}, "/all"),
        ({"event_ids": []}, "/event_ids"),
        ({"event_ids": ["x"]}, "/event_ids/0"),
        ({"all": True, "type": "a\u0000b"}, "/type"),
        ({"all": True, "types": "check_in"}, "/types"),
        ([], ""),
    ],
)
@pytest.mark.parametrize("act", ["replay", "discard"])
async def test_a_malformed_choice_names_its_field_and_changes_nothing(
    operator: httpx.AsyncClient, database: Database, act: str, body: object, pointer: str
) -> None:
    await park(database, 1)
    answer = await operator.post(f"/v1/feed/{act}", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert len(await parked(database)) == 1


@pytest.mark.parametrize("part", ["x", -1, 1 << 63, None, 1.5])
async def test_a_cursor_of_another_list_is_malformed(
    operator: httpx.AsyncClient, part: str | float | None
) -> None:
    answer = await operator.get("/v1/feed", params={"cursor": encode_cursor(part)})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?cursor"


@pytest.mark.parametrize("role", [Role.MARKETER, Role.STAFF, Role.MEMBER])
@pytest.mark.parametrize("endpoint", ["", "/replay", "/discard"])
async def test_only_a_server_key_may_look_and_act(
    operator: httpx.AsyncClient, tokens: Tokens, role: Role, endpoint: str
) -> None:
    headers = tokens(role, store_id="s1", subject_id=uuid4())
    method = "POST" if endpoint else "GET"
    answer = await operator.request(method, f"/v1/feed{endpoint}", headers=headers)
    assert answer.status_code == 403

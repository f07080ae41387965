"""Whoever waits for a person that is being erased must not bring it back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from services.member_api.people.domain import tombstone_hash
from shared.auth import Role
from shared.keys import MemberKeys
from tests.conftest import Tokens
from tests.member_api.conftest import Tell
from tests.member_api.events import check_in, redeemed
from tests.member_api.people.test_merges import merge
from tests.member_api.signups.test_sign_ups import sign_up

pytestmark = pytest.mark.slow

WAITS_FOR_A_LOCK = """
    SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


@pytest.fixture
async def subject(tell: Tell) -> UUID:
    subject = uuid4()
    await tell(check_in(subject))
    return subject


@asynccontextmanager
async def erasing(
    database: asyncpg.Connection, keys: MemberKeys, subject: UUID
) -> AsyncIterator[None]:
    """An erasure that has the person locked while the block runs, and commits at its end."""
    async with database.transaction():
        merges = "DELETE FROM member.merges WHERE $1 IN (subject_a, subject_b)"
        await database.execute(merges, subject)
        for table in ("timeline_items", "inbox", "subjects"):
            await database.execute(f"DELETE FROM member.{table} WHERE subject_id = $1", subject)
        yield
        buried = "INSERT INTO member.tombstones VALUES ($1, $2)"
        await database.execute(buried, tombstone_hash(keys.identity, subject), datetime.now(UTC))


async def until_it_waits(
    database: asyncpg.Connection, request: Awaitable[httpx.Response]
) -> asyncio.Future[httpx.Response]:
    """Start a request, and come back when it has run into the lock of the erasure."""
    under_way = asyncio.ensure_future(request)
    async with asyncio.timeout(10):
        while not await database.fetchval(WAITS_FOR_A_LOCK):
            await asyncio.sleep(0.01)
    return under_way


async def rows_of(database: asyncpg.Connection, subject: UUID) -> int:
    count: int = await database.fetchval(
        "SELECT (SELECT count(*) FROM member.subjects WHERE subject_id = $1)"
        " + (SELECT count(*) FROM member.merges WHERE $1 IN (subject_a, subject_b))",
        subject,
    )
    return count


async def test_a_merge_that_waited_for_an_erasure_finds_nobody(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    subject: UUID,
    database: asyncpg.Connection,
    member_keys: MemberKeys,
) -> None:
    other = uuid4()
    await tell(check_in(other))

    async with erasing(database, member_keys, subject):
        merging = await until_it_waits(database, merge(member, server, subject, other))

    assert (await merging).status_code == 404
    assert await rows_of(database, subject) == 0


async def test_an_undo_that_waited_for_an_erasure_finds_no_merge(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    database: asyncpg.Connection,
    member_keys: MemberKeys,
) -> None:
    subject, other = sorted([uuid4(), uuid4()])
    await tell(check_in(subject), check_in(other))
    merged = (await merge(member, server, subject, other)).json()

    async with erasing(database, member_keys, subject):
        undo = member.post(f"/v1/merges/{merged['merge_id']}/undo", headers=server)
        undoing = await until_it_waits(database, undo)

    assert (await undoing).status_code == 404
    assert await rows_of(database, subject) == 0


async def test_a_sign_up_that_waited_for_an_erasure_is_a_joining_anew(
    member: httpx.AsyncClient,
    tokens: Tokens,
    subject: UUID,
    database: asyncpg.Connection,
    member_keys: MemberKeys,
) -> None:
    own = tokens(Role.MEMBER, subject_id=subject)

    async with erasing(database, member_keys, subject):
        joining = await until_it_waits(database, sign_up(member, own))

    response = await joining
    assert response.status_code == 201, response.text
    erased_at = await database.fetchval("SELECT erased_at FROM member.tombstones")
    assert datetime.fromisoformat(response.json()["member_since"]) > erased_at
    timeline = (await member.get("/v1/people/me/timeline", headers=own)).json()["items"]
    assert [item["type"] for item in timeline] == ["signed_up"]


@pytest.mark.parametrize("waits", ["a sign-up", "a redemption"])
async def test_who_waited_for_a_person_brings_no_sibling_back_that_was_parted_and_erased(
    member: httpx.AsyncClient,
    server: dict[str, str],
    geo_service: dict[str, str],
    tokens: Tokens,
    tell: Tell,
    database: asyncpg.Connection,
    member_keys: MemberKeys,
    waits: str,
) -> None:
    subject, sibling = sorted([uuid4(), uuid4()])  # locked in this order
    await tell(check_in(subject), check_in(sibling))
    await merge(member, server, subject, sibling)

    async with erasing(database, member_keys, sibling):
        await database.execute(
            "UPDATE member.subjects SET person_id = birth_person_id WHERE subject_id = $1", subject
        )
        if waits == "a sign-up":
            request = sign_up(member, tokens(Role.MEMBER, subject_id=subject))
        else:
            events = {"events": [redeemed(subject, uuid4())]}
            request = member.post("/v1/interactions/batch", json=events, headers=geo_service)
        waiting = await until_it_waits(database, request)

    assert (await waiting).is_success
    assert await rows_of(database, sibling) == 0
    assert await rows_of(database, subject) == 1

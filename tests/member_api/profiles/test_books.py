"""The books keep what was redeemed by whom nobody knows any more, each redemption once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from tests.member_api.conftest import Tell
from tests.member_api.events import at, check_in, redeemed, reversed_
from tests.member_api.profiles.test_erasure import erase

pytestmark = pytest.mark.slow

REDEMPTION = UUID(int=7)
FACTS = ("redeemed", "reversed", "erasure")


@pytest.fixture
async def subject(tell: Tell) -> UUID:
    subject = uuid4()
    await tell(check_in(subject))
    return subject


async def books(database: asyncpg.Connection) -> list[Any]:
    rows = await database.fetch(
        "SELECT redeemed_at, store_id, amount_minor, currency, reversed_at"
        " FROM member.erased_redemptions"
    )
    return [tuple(row) for row in rows]


async def rows_of(database: asyncpg.Connection, subject: UUID) -> int:
    count: int = await database.fetchval(
        "SELECT (SELECT count(*) FROM member.subjects WHERE subject_id = $1)"
        " + (SELECT count(*) FROM member.inbox WHERE subject_id = $1)"
        " + (SELECT count(*) FROM member.redemptions WHERE subject_id = $1)"
        " + (SELECT count(*) FROM member.timeline_items WHERE subject_id = $1)",
        subject,
    )
    return count


@pytest.mark.parametrize("order", list(permutations(FACTS)))
async def test_a_redemption_stands_once_in_the_books_in_whatever_order_it_is_told(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    subject: UUID,
    database: asyncpg.Connection,
    order: Sequence[str],
) -> None:
    facts = {
        "redeemed": redeemed(subject, REDEMPTION, time=at(1)),
        "reversed": reversed_(subject, REDEMPTION, time=at(2)),
    }
    for step in order:
        if step == "erasure":
            assert (await erase(member, server, subject)).status_code == 200
        else:
            await tell(facts[step], facts[step])
    await tell(*facts.values())

    assert await books(database) == [(at(1), "s1", 4200, "CNY", at(2))]
    assert await rows_of(database, subject) == 0


async def test_a_second_telling_of_other_amounts_does_not_change_the_books(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    subject: UUID,
    database: asyncpg.Connection,
) -> None:
    await erase(member, server, subject)

    await tell(redeemed(subject, REDEMPTION, time=at(1)))
    await tell(redeemed(subject, REDEMPTION, time=at(1), amount_minor=1) | {"revision": 2})

    assert [row[2] for row in await books(database)] == [4200]


async def test_a_reversal_after_the_erasure_is_booked_and_brings_nobody_back(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    subject: UUID,
    database: asyncpg.Connection,
) -> None:
    await tell(redeemed(subject, REDEMPTION, time=at(1)))
    await erase(member, server, subject)
    later = datetime.now(UTC) + timedelta(minutes=1)

    await tell(reversed_(subject, REDEMPTION, time=later))

    assert await books(database) == [(at(1), "s1", 4200, "CNY", later)]
    assert await rows_of(database, subject) == 0


async def test_who_joined_anew_has_redemptions_of_their_own(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    subject: UUID,
    database: asyncpg.Connection,
) -> None:
    await erase(member, server, subject)
    later = datetime.now(UTC) + timedelta(minutes=1)

    await tell(
        redeemed(subject, REDEMPTION, time=later), reversed_(subject, REDEMPTION, time=later)
    )

    assert await books(database) == []
    kept = "SELECT count(*) FROM member.redemptions WHERE subject_id = $1"
    assert await database.fetchval(kept, subject) == 1

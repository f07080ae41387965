"""Whereabouts that somebody takes back are forgotten, and what comes late of them stays so."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from tests.member_api.conftest import Tell
from tests.member_api.consents.test_consents import give, in_force, told
from tests.member_api.events import (
    at,
    check_in,
    dwelled,
    erasure_requested,
    event,
    joined,
    redeemed,
    revoked,
    social,
    visit,
)
from tests.member_api.people.test_merges import everything, merge, undo
from tests.member_api.timeline.test_social import items, person

pytestmark = pytest.mark.slow

NOON = at(180)


def stay(
    subject: UUID, entered: float, left: float, *, store_id: str = "s1"
) -> list[dict[str, Any]]:
    """A visit as it is told, its check-ins and a dwell of ten minutes included."""
    visit_id = uuid4()
    return [
        check_in(subject, time=at(entered), store_id=store_id),
        visit("visit_entered", subject, visit_id, at(entered), store_id=store_id),
        dwelled(subject, visit_id, 600, entered_at=at(entered), store_id=store_id),
        check_in(subject, time=at(left - 1), store_id=store_id),
        visit("visit_exited", subject, visit_id, at(entered), at(left), store_id=store_id),
    ]


async def left_of(database: asyncpg.Connection, subject: UUID) -> list[str]:
    """Everything stored of whereabouts, as text."""
    rows = await database.fetch(
        "SELECT CAST(t AS text) FROM member.timeline_items AS t WHERE subject_id = $1"
        " AND (type = 'check_in' OR type LIKE 'visit%')"
        " UNION ALL SELECT CAST(v AS text) FROM member.visits AS v WHERE subject_id = $1",
        subject,
    )
    return [text for (text,) in rows]


async def test_a_revocation_forgets_where_somebody_was_and_keeps_what_was_bought(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, database: asyncpg.Connection
) -> None:
    who = uuid4()
    await tell(
        *stay(who, 0, 30),
        *stay(who, 170, 200, store_id="s2"),  # goes on past noon, and began before
        redeemed(who, uuid4(), time=at(20)),
        event("coupon_granted", who, "c", time=at(1), store_id="s1"),
        event(
            "invitation_shown",
            who,
            "i",
            time=at(1),
            store_id="s1",
            data={"check_in_id": str(uuid4())},
        ),
        event("invitation_shown", who, "j", time=at(1), store_id="s1", data={}),
        social("followed", who, "f", time=at(2), scene="p-1"),
    )

    await tell(revoked(who, time=NOON))
    await tell(*stay(who, 240, 300, store_id="s3"))

    found = await person(member, server, who)
    traits = found["traits"]
    assert traits["check_ins"] == 3  # the last of the second stay came after noon
    assert traits["visits_by_store"] == traits["dwells_by_store"] == {"s3": 1}
    assert (traits["coupons_granted"], traits["redemptions"]) == (1, 1)
    assert found["lifecycle"] == "customer"
    assert traits["first_seen_at"] == "2026-11-20T09:01:00Z"
    kept = [one["type"] for one in await items(member, server, who)]
    assert sorted(kept) == sorted([
        "social_followed", "coupon_granted", "coupon_redeemed", "invitation_shown",
        "consent_changed", "consent_changed",
        "check_in", "check_in", "check_in", "visit_entered", "visit_dwelled", "visit_exited",
    ])  # fmt: skip
    assert not any("s1" in text for text in await left_of(database, who))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_what_comes_late_but_happened_before_stays_forgotten(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    database: asyncpg.Connection,
    order: Sequence[int],
) -> None:
    who, amended = uuid4(), uuid4()
    parts = [
        [
            *stay(who, 0, 30),
            visit("visit_entered", who, amended, at(190), store_id="s2"),
            dwelled(who, amended, 300, entered_at=at(190), store_id="s2"),
        ],
        [revoked(who, time=NOON)],
        [  # the second visit turns out to have begun before noon
            visit("visit_entered", who, amended, at(170), store_id="s2", revision=2),
            dwelled(who, amended, 300, entered_at=at(170), store_id="s2", revision=2),
            visit("visit_exited", who, amended, at(170), at(200), store_id="s2"),
        ],
    ]
    for part in order:
        await tell(*parts[part])
        await tell(*parts[part])

    assert await left_of(database, who) == []
    traits = (await person(member, server, who))["traits"]
    assert (traits["check_ins"], traits["visits"]) == (0, 0)
    assert traits["first_seen_at"] == traits["last_seen_at"] == "2026-11-20T12:00:00Z"


async def test_a_revocation_counts_as_a_withdrawal_that_geo_api_hears_at_once(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, database: asyncpg.Connection
) -> None:
    subject = {"namespace": "app_user", "issuer": "demo", "value": "1"}
    granted = await give(
        member, server, subject=subject, purpose="visit_history", given_at=at(0).isoformat()
    )
    who = UUID(granted.json()["subject_id"])

    push = revoked(who, time=NOON)
    await tell(push)
    await tell(push)

    assert await in_force(member, server, who) == {
        "locate_now": "withdrawn",
        "visit_history": "withdrawn",
    }
    path = f"/v1/people/{granted.json()['person_id']}/consents"
    said = (await member.get(path, headers=server)).json()["items"]
    withdrawals = [one for one in said if one["state"] == "withdrawn"]
    assert len(withdrawals) == 2
    assert all(push["id"] in one["proof"] for one in withdrawals)
    assert {one["at"] for one in withdrawals} == {"2026-11-20T12:00:00Z"}
    last = (await told(database, who))[-1]
    assert (last["lane"], last["data"]["consents"]["visit_history"]["state"]) == (0, "withdrawn")


async def test_a_later_grant_lets_somebody_be_seen_again(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    subject = {"namespace": "app_user", "issuer": "demo", "value": "1"}
    later = {"purpose": "visit_history", "given_at": at(200).isoformat()}
    who = UUID((await give(member, server, subject=subject, **later)).json()["subject_id"])

    await tell(revoked(who, time=NOON), check_in(who, time=at(210)))

    assert (await in_force(member, server, who))["visit_history"] == "granted"
    assert (await person(member, server, who))["traits"]["check_ins"] == 1


@pytest.mark.parametrize("order", list(itertools.permutations(["join", "revoke", "stay"])))
async def test_it_reaches_all_who_were_the_same_person_then(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    database: asyncpg.Connection,
    order: Sequence[str],
) -> None:
    one, other = uuid4(), uuid4()
    facts = {
        "join": [joined(one, other, time=at(60))],
        "revoke": [revoked(one, time=NOON)],
        "stay": stay(other, 0, 30),
    }
    for step in order:
        await tell(*facts[step])

    assert await left_of(database, other) == []
    assert (await person(member, server, one))["traits"]["visits"] == 0


@pytest.mark.parametrize("order", list(itertools.permutations(["join", "revoke", "stay"])))
async def test_who_proves_to_be_the_same_person_later_keeps_their_own(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, order: Sequence[str]
) -> None:
    one, other = uuid4(), uuid4()
    facts = {
        "join": [joined(one, other, time=at(240))],
        "revoke": [revoked(one, time=NOON)],
        "stay": stay(other, 0, 30),
    }
    for step in order:
        await tell(*facts[step])

    assert (await person(member, server, one))["traits"]["visits_by_store"] == {"s1": 1}


async def test_a_merge_after_a_revocation_is_taken_back_exactly(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    one, other = uuid4(), uuid4()
    await tell(*stay(one, 200, 230), *stay(other, 0, 30), revoked(one, time=NOON))
    apart = await everything(member, server, one, other)

    merged = (await merge(member, server, one, other)).json()
    await undo(member, server, merged["merge_id"])

    assert await everything(member, server, one, other) == apart


async def test_check_ins_that_race_with_a_revocation_leave_nothing_behind(
    tell: Tell, database: asyncpg.Connection
) -> None:
    subjects = [uuid4() for _ in range(6)]

    async def keep_telling(begin: int) -> None:
        for minute in range(begin, begin + 60, 10):
            await tell(*(one for subject in subjects for one in stay(subject, minute, minute + 9)))

    await asyncio.gather(
        keep_telling(0),
        keep_telling(60),
        *(tell(revoked(subject, time=NOON)) for subject in subjects),
    )

    for subject in subjects:
        assert await left_of(database, subject) == []
    counts = await database.fetch(
        "SELECT check_ins FROM member.subjects WHERE subject_id = ANY($1)", subjects
    )
    assert {count for (count,) in counts} == {0}


async def test_a_revocation_by_a_clock_ahead_of_ours_counts_from_now(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    who, ahead = uuid4(), datetime.now(UTC) + timedelta(days=400)

    await tell(check_in(who), revoked(who, time=ahead))

    assert (await person(member, server, who))["traits"]["check_ins"] == 0
    assert (await in_force(member, server, who))["visit_history"] == "withdrawn"


async def test_an_erasure_asked_for_elsewhere_forgets_the_whole_person_once(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, database: asyncpg.Connection
) -> None:
    one, other, stranger = uuid4(), uuid4(), uuid4()
    await tell(check_in(one), check_in(other), joined(one, other))

    await tell(erasure_requested(one, time=at(30)), check_in(one), check_in(stranger))
    again = await tell(erasure_requested(one, time=at(30)), check_in(other, time=at(5)))

    assert {result["status"] for result in again} == {"duplicate"}
    rows = await database.fetch("SELECT subject_id FROM member.subjects")
    assert [row["subject_id"] for row in rows] == [stranger]
    for subject in (one, other):
        (erased,) = await told(database, subject)
        assert (erased["type"], erased["lane"]) == ("subject_erased", 0)


async def test_the_erasure_of_somebody_unknown_keeps_them_out(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, database: asyncpg.Connection
) -> None:
    who = uuid4()

    applied = await tell(erasure_requested(who, time=at(30)))
    late = await tell(*stay(who, 0, 20), social("followed", who, "1", time=at(1)))

    assert [one["status"] for one in applied] == ["applied"]
    assert {one["status"] for one in late} == {"duplicate"}
    assert await database.fetchval("SELECT count(*) FROM member.subjects") == 0
    assert await database.fetchval("SELECT count(*) FROM member.tombstones") == 1

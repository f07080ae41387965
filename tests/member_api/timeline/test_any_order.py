"""A day of social facts, joins, stays and a revocation in any order: the same people."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest

from services.member_api.people.service import seal
from services.member_api.schema import metadata
from shared.identity import Identity, Namespace
from shared.ids import birth_person_id
from shared.keys import MemberKeys
from tests.member_api.conftest import Tell
from tests.member_api.events import (
    at,
    check_in,
    dwelled,
    event,
    joined,
    message,
    observed,
    redeemed,
    revoked,
    social,
    visit,
)

pytestmark = pytest.mark.slow

ORDERS = 200
OPENID = Identity(Namespace.WECHAT_OPENID, "wx-mini", "o-mini")
OFFICIAL = Identity(Namespace.WECHAT_OPENID, "wx-official", "o-official")
UNIONID = Identity(Namespace.WECHAT_UNIONID, "open", "u-1")
PHONE = Identity(Namespace.PHONE, "", "+8613800138000")
STRANGER = Identity(Namespace.WECHAT_OPENID, "wx-mini", "o-stranger")
EVERYBODY = (OPENID, OFFICIAL, UNIONID, PHONE, STRANGER)
EMPTYING = "; ".join(
    f"DELETE FROM {table.fullname}"
    for table in reversed(metadata.sorted_tables)
    if table.name != "installation"
)


def stay(who: UUID, number: int, entered: float, left: float, store_id: str) -> list[Any]:
    visit_id = UUID(int=number)
    return [
        visit("visit_entered", who, visit_id, at(entered), store_id=store_id),
        dwelled(who, visit_id, 300, entered_at=at(entered), store_id=store_id),
        visit("visit_exited", who, visit_id, at(entered), at(left), store_id=store_id),
    ]


def day(keys_dir: Path, ids: dict[Identity, UUID]) -> list[dict[str, Any]]:
    """What happens; the location permission is taken back at noon, three hours in."""
    mini, official, union, phone, stranger = (ids[one] for one in EVERYBODY)
    sent, failed, dropped = (UUID(int=n) for n in (1, 2, 3))
    return [
        *(observed(keys_dir, one) for one in EVERYBODY),
        social("followed", official, "1", time=at(0), store_id="s7", scene="p1", campaign="spring"),
        social("scanned", mini, "2", time=at(0), store_id="s8", scene="p2", kol="mei"),
        social("unfollowed", official, "3", time=at(50)),
        social("followed", official, "4", time=at(300)),
        social("followed", official, "5", time=at(200)) | {"revision": 2},
        social("followed", official, "5", time=at(210), campaign="early"),
        social("scanned", mini, "6", time=at(290), scene="p3"),
        social("message_received", stranger, "7", time=at(10), kind="text"),
        message(mini, sent, "sent", time=at(20)),
        message(mini, sent, "delivered", 2, time=at(20)),
        message(official, failed, "sent", time=at(30)),
        message(official, failed, "failed", 2, time=at(30)),
        message(phone, dropped, "dropped", time=at(40)),
        joined(mini, union, time=at(5)),
        joined(mini, phone, time=at(60), evidence="wechat_phone"),
        joined(official, union, time=at(240)),
        joined(official, phone, time=at(250), evidence="wechat_phone"),
        *(check_in(who, time=at(n), store_id="s1") for who, n in ((mini, 1), (phone, 2), (official, 3))),
        check_in(mini, time=at(181), store_id="s3"),
        check_in(stranger, time=at(100), store_id="s1"),
        *stay(mini, 11, 10, 30, "s1"),
        *stay(phone, 12, 20, 40, "s2"),
        *stay(official, 13, 30, 60, "s2"),
        *stay(official, 14, 170, 200, "s3"),
        *stay(mini, 15, 170, 190, "s4"),
        *stay(mini, 16, 200, 230, "s3"),
        *stay(stranger, 17, 100, 130, "s1"),
        visit("visit_entered", mini, UUID(int=18), at(190), store_id="s5"),
        visit("visit_entered", mini, UUID(int=18), at(175), store_id="s5", revision=2),
        visit("visit_entered", mini, UUID(int=19), at(175), store_id="s6"),
        visit("visit_entered", mini, UUID(int=19), at(185), store_id="s6", revision=2),
        visit("visit_exited", mini, UUID(int=19), at(185), at(186), store_id="s6"),
        revoked(mini, time=at(180)),
        event("coupon_granted", mini, "c", time=at(15), store_id="s1"),
        redeemed(phone, UUID(int=21), time=at(25)),
    ]  # fmt: skip


def split(facts: list[dict[str, Any]], random: Random) -> Iterator[list[dict[str, Any]]]:
    """In another order, some told twice, in parts of one to forty."""
    arriving = facts + random.sample(facts, 10)
    random.shuffle(arriving)
    while arriving:
        size = random.randint(1, 40)
        yield arriving[:size]
        arriving = arriving[size:]


async def seen(
    member: httpx.AsyncClient, server: dict[str, str], ids: dict[Identity, UUID]
) -> list[Any]:
    """The profile and timeline of both people. A consent's own id is new each time."""
    found = []
    for who in (ids[OPENID], ids[STRANGER]):
        base = f"/v1/people/{birth_person_id(who)}"
        person = (await member.get(base, headers=server)).json()
        timeline = (await member.get(f"{base}/timeline?limit=500", headers=server)).json()["items"]
        for item in timeline:
            if item["type"] == "consent_changed":
                item["id"] = item["data"].pop("consent_id")[:0]
        found.append((person, sorted(timeline, key=orjson.dumps)))
    return found


async def stored(database: asyncpg.Connection) -> list[Any]:
    """What else must be equal: visits, revocations, and what geo_api was told last of each."""
    visits = await database.fetch("SELECT * FROM member.visits ORDER BY visit_id")
    revocations = await database.fetch("SELECT * FROM member.whereabouts_revocations ORDER BY 1")
    told: dict[str, tuple[int, Any]] = {}
    for row in await database.fetch("SELECT payload FROM member.outbox"):
        fact = orjson.loads(row["payload"])
        told[fact["subject"]] = max(
            told.get(fact["subject"], (0, None)), (fact["revision"], fact["data"]), key=_revision
        )
    audience = sorted((subject, data) for subject, (_, data) in told.items())
    return [list(map(tuple, visits)), list(map(tuple, revocations)), audience]


def _revision(told: tuple[int, Any]) -> int:
    return told[0]


@pytest.mark.slow
async def test_200_orders_and_splits_give_the_same_profile_timeline_and_traits(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    installation_keys: Path,
    member_keys: MemberKeys,
    database: asyncpg.Connection,
) -> None:
    ids = {one: seal(member_keys, one).subject_id for one in EVERYBODY}
    facts, first = day(installation_keys, ids), None
    for seed in range(ORDERS):
        await database.execute(EMPTYING)
        for part in split(facts, Random(seed)):
            await tell(*part)
        state = [await seen(member, server, ids), await stored(database)]
        first = first or state
        assert state == first, f"order {seed}"

    person, _ = state[0][0]
    assert len(person["subjects"]) == 4
    traits = person["traits"]
    assert traits["visits_by_store"] == {"s2": 1, "s3": 1, "s6": 1}  # those of before: official's
    assert (traits["check_ins"], traits["redemptions"], traits["coupons_granted"]) == (2, 1, 1)
    assert traits["messages"] == {"sent": 0, "delivered": 1, "failed": 1, "dropped": 1}
    assert [one["follows"] for one in traits["follows"]] == [True]
    stranger, _ = state[0][-1]
    assert stranger["traits"]["visits_by_store"] == {"s1": 1}

"""Two that WeChat says are one person become one, by the rules of the ledger, in any order."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.member_api.people.service import seal
from shared.identity import Identity, Namespace
from shared.ids import birth_person_id
from shared.keys import MemberKeys
from tests.member_api.conftest import Tell
from tests.member_api.events import at, check_in, erasure_requested, joined, observed
from tests.member_api.people.test_merges import undo
from tests.member_api.people.test_numbers import person_of, reviews

pytestmark = pytest.mark.slow

OPENID, STRANGER = [Identity(Namespace.WECHAT_OPENID, "wx1", f"oSLM_{n}") for n in (1, 2)]
UNIONID, ANOTHER = [Identity(Namespace.WECHAT_UNIONID, "op", value) for value in ("u1", "u2")]
PHONE = Identity(Namespace.PHONE, "", "+8613800138000")


@pytest.fixture
def ids(member_keys: MemberKeys) -> dict[Identity, UUID]:
    identities = (OPENID, STRANGER, UNIONID, ANOTHER, PHONE)
    return {one: seal(member_keys, one).subject_id for one in identities}


async def ledger(member: httpx.AsyncClient, server: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await member.get("/v1/merges", headers=server)).json()["items"]
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(["join", OPENID, UNIONID])))
async def test_joins_and_identities_end_alike_in_any_order(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    installation_keys: Path,
    ids: dict[Identity, UUID],
    order: Sequence[Any],
) -> None:
    for step in order:
        told = (
            joined(ids[OPENID], ids[UNIONID])
            if step == "join"
            else observed(installation_keys, step)
        )
        await tell(told)
        await tell(told)

    person = await person_of(member, server, ids[OPENID])
    assert person["subjects"] == sorted(str(ids[one]) for one in (OPENID, UNIONID))
    assert {(one["namespace"], one["verified"]) for one in person["identities"]} == {
        ("wechat_openid", True),
        ("wechat_unionid", True),
    }
    (entry,) = await ledger(member, server)
    assert (entry["evidence"], entry["actor"]) == ("wechat_unionid", "geo_api")


async def test_a_phone_that_wechat_gives_is_a_proven_one(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    installation_keys: Path,
    ids: dict[Identity, UUID],
) -> None:
    await tell(
        joined(ids[OPENID], ids[PHONE], evidence="wechat_phone"), observed(installation_keys, PHONE)
    )

    phone = {"namespace": "phone", "value": PHONE.value}
    found = (await member.post("/v1/people/search", json=phone, headers=server)).json()
    assert str(ids[OPENID]) in found["subjects"]
    assert found["identities"] == [
        {"namespace": "phone", "issuer": "", "value": PHONE.value, "verified": True}
    ]


@pytest.mark.parametrize("late", [False, True])
async def test_a_join_that_a_rule_speaks_against_waits_for_review(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    installation_keys: Path,
    ids: dict[Identity, UUID],
    late: bool,
) -> None:
    numbers = [observed(installation_keys, one) for one in (UNIONID, ANOTHER)]
    joins = [joined(ids[OPENID], ids[UNIONID]), joined(ids[OPENID], ids[ANOTHER])]
    for told in (*joins, *numbers) if late else (*numbers, *joins):
        await tell(told)

    assert str(ids[UNIONID]) in (await person_of(member, server, ids[OPENID]))["subjects"]
    assert (await person_of(member, server, ids[ANOTHER]))["subjects"] == [str(ids[ANOTHER])]
    (review,) = await reviews(member, server)
    assert (review["reason"], review["evidence"]) == ("unique_namespace", "wechat_unionid")


async def test_a_number_given_to_somebody_else_since_does_not_join_two_users_of_an_app(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    installation_keys: Path,
    ids: dict[Identity, UUID],
) -> None:
    """Networks give numbers out again; a person has one openid at an app."""
    for user in (OPENID, STRANGER):
        await tell(observed(installation_keys, user))
        await tell(joined(ids[user], ids[PHONE], evidence="wechat_phone"))

    assert (await person_of(member, server, ids[STRANGER]))["subjects"] == [str(ids[STRANGER])]
    (review,) = await reviews(member, server)
    assert (review["reason"], review["evidence"]) == ("unique_namespace", "wechat_phone")


async def test_what_somebody_took_back_is_not_joined_again(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    one, other = uuid4(), uuid4()
    await tell(joined(one, other))
    (entry,) = await ledger(member, server)
    await undo(member, server, entry["merge_id"])

    again = await tell(joined(one, other))
    await tell(joined(one, other) | {"revision": 2}, joined(other, one))

    assert again[0]["status"] == "duplicate"
    assert (await person_of(member, server, one))["subjects"] == [str(one)]
    (review,) = await reviews(member, server)
    assert review["reason"] == "taken_back"


async def test_all_that_shows_it_stands_in_the_ledger_whatever_came_first(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    """So that taking one of them back leaves the same, too."""
    one, other, third = uuid4(), uuid4(), uuid4()
    joins = [joined(one, other), joined(other, third), joined(one, third, evidence="wechat_phone")]

    await tell(*joins)

    entries = await ledger(member, server)
    assert len(entries) == 3
    of_phone = next(entry for entry in entries if entry["evidence"] == "wechat_phone")
    await undo(member, server, of_phone["merge_id"])
    assert len((await person_of(member, server, one))["subjects"]) == 3


@pytest.mark.parametrize("erased", ["subject", "other"])
async def test_nobody_is_joined_to_who_was_erased_since(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, erased: str
) -> None:
    one, other = uuid4(), uuid4()
    gone, stays = (one, other) if erased == "subject" else (other, one)
    await tell(check_in(gone), check_in(stays))
    await tell(erasure_requested(gone))

    late = await tell(joined(one, other, time=at(5)))

    assert late[0]["status"] == "duplicate"
    assert (await person_of(member, server, stays))["subjects"] == [str(stays)]
    response = await member.get(f"/v1/people/{birth_person_id(gone)}", headers=server)
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {"other": "nobody", "evidence": "wechat_phone"}}, "bad_other"),
        ({"data": {"other": str(UUID(int=1)), "evidence": "hearsay"}}, "bad_evidence"),
        ({"subject": str(UUID(int=1))}, "joined_to_itself"),
        ({"retracted": True}, "cannot_be_retracted"),
    ],
)
async def test_a_join_that_cannot_be_read_is_refused_by_name(
    tell: Tell, change: dict[str, Any], reason: str
) -> None:
    results = await tell(joined(uuid4(), UUID(int=1)) | change, refused=True)

    assert (results[0]["status"], results[0]["reason"]) == ("refused", reason)

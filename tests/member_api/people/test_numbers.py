"""Numbers that a person has once: what they forbid, when they come late, and who knows better."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from services.member_api.people.service import seal
from shared.identity import Identity, Namespace
from shared.ids import birth_person_id
from shared.keys import MemberKeys
from tests.member_api.conftest import Invite, Known, Tell
from tests.member_api.consents.test_consents import told
from tests.member_api.events import app_user, check_in, observed
from tests.member_api.people.test_merges import merge, undo
from tests.member_api.signups.test_sign_ups import MEMBER_NO, PHONE, sign_up

pytestmark = pytest.mark.slow

FIRST, SECOND = [Identity(Namespace.MEMBER_NO, "", number) for number in ("1001", "1002")]


@pytest.fixture
async def strangers(tell: Tell, member_keys: MemberKeys) -> tuple[UUID, UUID]:
    """Two who checked in, and of whom it is not known yet that they are member numbers."""
    one, other = [seal(member_keys, number).subject_id for number in (FIRST, SECOND)]
    await tell(check_in(one), check_in(other))
    return one, other


async def person_of(member: httpx.AsyncClient, server: dict[str, str], subject: UUID) -> Any:
    response = await member.get(f"/v1/people/{birth_person_id(subject)}", headers=server)
    return response.json()


async def reviews(member: httpx.AsyncClient, server: dict[str, str]) -> Any:
    return (await member.get("/v1/merge-reviews", headers=server)).json()["items"]


async def test_after_an_override_others_join_by_themselves(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    one, other = await known(FIRST), await known(SECOND)
    assert (await merge(member, server, one, other, override=True)).status_code == 201

    joined = await sign_up(member, server, identities=[MEMBER_NO, PHONE])
    third = await sign_up(member, server, identities=[MEMBER_NO, MEMBER_NO | {"value": "1003"}])

    assert [one["status"] for one in joined.json()["identities"]] == ["joined", "joined"]
    assert third.json()["identities"][1]["reason"] == "unique_namespace"
    assert len((await person_of(member, server, one))["subjects"]) == 3


@pytest.mark.parametrize("order", list(itertools.permutations(["merge", FIRST, SECOND])))
async def test_numbers_and_a_merge_end_alike_in_any_order(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    installation_keys: Path,
    strangers: tuple[UUID, UUID],
    order: Sequence[Any],
) -> None:
    for step in order:
        if step == "merge":
            await merge(member, server, *strangers)
        else:
            await tell(observed(installation_keys, step))

    for subject in strangers:
        assert (await person_of(member, server, subject))["subjects"] == [str(subject)]


async def test_a_merge_that_a_late_number_contradicts_is_taken_back_for_review(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    known: Known,
    strangers: tuple[UUID, UUID],
    database: asyncpg.Connection,
) -> None:
    merged = (await merge(member, server, *strangers)).json()

    await known(FIRST)
    await known(SECOND)

    (entry,) = (await member.get("/v1/merges", headers=server)).json()["items"]
    assert (entry["merge_id"], entry["undone_by"]) == (merged["merge_id"], "rule:unique_namespace")
    (waiting,) = await reviews(member, server)
    assert waiting["reason"] == "unique_namespace"
    assert waiting["evidence"] == "showed both at the till"
    for subject in strangers:
        assert (await told(database, subject))[-1]["data"]["siblings"] == [str(subject)]


async def test_who_knows_better_joins_them_again_for_good(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    known: Known,
    installation_keys: Path,
    strangers: tuple[UUID, UUID],
) -> None:
    await merge(member, server, *strangers)
    await known(FIRST)
    await known(SECOND)

    refused = await merge(member, server, *strangers)
    forced = await merge(member, server, *strangers, override=True)
    again = observed(installation_keys, SECOND)
    await tell(again | {"revision": 2})

    assert (refused.status_code, forced.status_code) == (409, 201)
    assert len((await person_of(member, server, strangers[0]))["subjects"]) == 2
    assert await reviews(member, server) == []


async def test_a_number_vouched_for_at_a_sign_up_is_checked_too(
    member: httpx.AsyncClient,
    server: dict[str, str],
    known: Known,
    strangers: tuple[UUID, UUID],
    invite: Invite,
) -> None:
    await known(FIRST)
    await merge(member, server, *strangers)

    response = await sign_up(
        member, server, invitation=invite(strangers[1]), identities=[MEMBER_NO | {"value": "1002"}]
    )

    assert response.status_code == 201, response.text
    assert response.json()["person_id"] == str(birth_person_id(strangers[1]))
    assert (await person_of(member, server, strangers[0]))["lifecycle"] == "fan"


async def test_what_somebody_took_back_does_not_join_by_itself_again(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    app = {"namespace": "app_user", "issuer": "demo", "value": "1"}
    subject = await known(app_user("1"))
    await sign_up(member, server, identities=[PHONE, app])
    (entry,) = (await member.get("/v1/merges", headers=server)).json()["items"]
    await undo(member, server, entry["merge_id"])

    again = await sign_up(member, server, identities=[PHONE, app])

    assert [one["status"] for one in again.json()["identities"]] == ["joined", "review"]
    assert again.json()["identities"][1]["reason"] == "taken_back"
    assert (await person_of(member, server, subject))["subjects"] == [str(subject)]
    ends = [UUID(one) for one in entry["subjects"]]
    assert (await merge(member, server, ends[0], ends[1])).status_code == 201

"""Becoming a member: by invitation, with a member's token, or vouched for by a server."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from shared.auth import Role
from shared.identity import Identity, Namespace
from shared.ids import birth_person_id
from tests.conftest import Tokens
from tests.member_api.conftest import Invite, Known, Tell, key
from tests.member_api.consents.test_consents import told
from tests.member_api.events import app_user, at, check_in, redeemed

pytestmark = pytest.mark.slow

PHONE = {"namespace": "phone", "value": "+8613800138000"}
MEMBER_NO = {"namespace": "member_no", "value": "1001"}


async def sign_up(
    member: httpx.AsyncClient, headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    return await member.post("/v1/sign-ups", json=body, headers=(headers or {}) | key())


async def read(member: httpx.AsyncClient, server: dict[str, str], person_id: str) -> Any:
    return (await member.get(f"/v1/people/{person_id}", headers=server)).json()


async def test_an_invitation_turns_a_visitor_into_a_member(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    invite: Invite,
    database: asyncpg.Connection,
) -> None:
    subject = uuid4()
    await tell(check_in(subject))

    response = await sign_up(
        member,
        invitation=invite(subject, campaign="spring"),
        identities=[PHONE],
        consents=[{"purpose": "visit_history", "version": "1"}],
        profile={"name": "Li Lei 李雷"},
    )

    assert response.status_code == 201, response.text
    joined = response.json()
    assert joined["person_id"] == str(birth_person_id(subject))
    assert (joined["lifecycle"], joined["already_member"]) == ("member", False)
    assert joined["identities"] == [{"namespace": "phone", "status": "claimed", "reason": None}]
    assert joined["consents"][0]["receipt"]
    person = await read(member, server, joined["person_id"])
    assert person["lifecycle"] == "member"
    assert person["profile"] == {"name": "Li Lei 李雷"}
    assert person["memberships"][0]["campaign"] == "spring"
    (change,) = person["lifecycle_changes"]
    assert (change["to"], change["cause"]["type"]) == ("member", "signed_up")
    assert change["cause"]["event_id"] == person["memberships"][0]["event_id"]
    assert person["identities"] == [
        {"namespace": "phone", "issuer": "", "value": "+8613800138000", "verified": False}
    ]
    path = f"/v1/people/{joined['person_id']}/timeline"
    items = (await member.get(path, headers=server)).json()["items"]
    assert {item["type"] for item in items} == {"check_in", "consent_changed", "signed_up"}
    latest = (await told(database, subject))[-1]["data"]
    assert latest["lifecycle"] == "member"
    assert latest["consents"]["visit_history"]["state"] == "granted"


async def test_an_invitation_is_used_once(
    member: httpx.AsyncClient, tell: Tell, invite: Invite
) -> None:
    subject = uuid4()
    await tell(check_in(subject))
    body = {"invitation": invite(subject)}
    headers = key()

    first = await member.post("/v1/sign-ups", json=body, headers=headers)
    repeated = await member.post("/v1/sign-ups", json=body, headers=headers)
    used = await member.post("/v1/sign-ups", json=body, headers=key())

    assert (first.status_code, repeated.status_code) == (201, 200)
    assert first.content == repeated.content
    assert (used.status_code, used.json()["type"]) == (409, "/problems/invitation-used")


async def test_of_eight_at_once_one_uses_the_invitation(
    member: httpx.AsyncClient, invite: Invite
) -> None:
    invitation = invite(uuid4())

    answers = await asyncio.gather(*(sign_up(member, invitation=invitation) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_an_expired_invitation_is_gone(member: httpx.AsyncClient, invite: Invite) -> None:
    response = await sign_up(member, invitation=invite(uuid4(), ttl_s=-1))

    assert (response.status_code, response.json()["type"]) == (410, "/problems/invitation-expired")


@pytest.mark.parametrize("forged", ["nonsense", "a.b.c", "operator", "audience"])
async def test_what_geo_api_did_not_sign_is_no_invitation(
    member: httpx.AsyncClient, tokens: Tokens, invite: Invite, forged: str
) -> None:
    made = {
        "operator": tokens(Role.SERVER)["Authorization"].removeprefix("Bearer "),
        "audience": invite(uuid4(), aud="consent"),
    }

    response = await sign_up(member, invitation=made.get(forged, forged))

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/invitation"


async def test_without_token_or_invitation_nobody_signs_up(member: httpx.AsyncClient) -> None:
    assert (await sign_up(member, profile={"name": "x"})).status_code == 401


@pytest.mark.parametrize("role", [Role.STAFF, Role.MARKETER])
async def test_staff_and_marketers_sign_nobody_up(
    member: httpx.AsyncClient, tokens: Tokens, invite: Invite, role: Role
) -> None:
    headers = tokens(role, store_id="s1")

    response = await sign_up(member, headers, invitation=invite(uuid4()))

    assert response.status_code == 403


async def test_a_members_token_is_enough(
    member: httpx.AsyncClient, tokens: Tokens, tell: Tell
) -> None:
    subject = uuid4()
    await tell(check_in(subject), redeemed(subject, uuid4(), time=at(5)))
    own = tokens(Role.MEMBER, subject_id=subject)

    first = await sign_up(member, own)
    again = await sign_up(member, own, profile={"name": "Han"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["already_member"] is True
    assert again.json()["member_since"] == first.json()["member_since"]
    person = (await member.get("/v1/people/me", headers=own)).json()
    assert [change["to"] for change in person["lifecycle_changes"]] == ["customer", "member"]
    assert person["profile"] == {"name": "Han"}


async def test_a_profile_grows_to_twenty_fields_and_no_further(
    member: httpx.AsyncClient, tokens: Tokens
) -> None:
    own = tokens(Role.MEMBER, subject_id=uuid4())
    fields = {f"field_{number}": "x" for number in range(20)}
    assert (await sign_up(member, own, profile=fields)).status_code == 201

    one_more = await sign_up(member, own, profile={"field_20": "x"})
    changed = await sign_up(member, own, profile={"field_0": "y"})

    assert (one_more.status_code, changed.status_code) == (422, 200)
    assert one_more.json()["errors"][0]["pointer"] == "/profile"
    profile = (await member.get("/v1/people/me", headers=own)).json()["profile"]
    assert profile == fields | {"field_0": "y"}


async def test_an_invitation_for_another_is_refused(
    member: httpx.AsyncClient, tokens: Tokens, invite: Invite
) -> None:
    own = tokens(Role.MEMBER, subject_id=uuid4())

    response = await sign_up(member, own, invitation=invite(uuid4()))

    assert response.status_code == 409
    assert response.json()["type"] == "/problems/invitation-for-another"


async def test_an_unverified_identity_joins_nobody_and_tells_nothing(
    member: httpx.AsyncClient, server: dict[str, str], known: Known, invite: Invite, tell: Tell
) -> None:
    owner = await known(Identity(Namespace.PHONE, "", "+8613800138000"))
    thief, other = uuid4(), uuid4()
    await tell(check_in(thief), check_in(other))

    of_known = await sign_up(member, invitation=invite(thief), identities=[PHONE])
    unknown = PHONE | {"value": "+8613900139000"}
    of_unknown = await sign_up(member, invitation=invite(other), identities=[unknown])

    assert of_known.json()["identities"] == of_unknown.json()["identities"]
    assert of_known.json()["person_id"] == str(birth_person_id(thief))
    found = await member.post("/v1/people/search", json=PHONE, headers=server)
    assert found.json()["person_id"] == str(birth_person_id(owner))
    assert found.json()["lifecycle"] == "fan"


async def test_a_server_vouches_and_joins_its_people(
    member: httpx.AsyncClient,
    server: dict[str, str],
    known: Known,
    invite: Invite,
    database: asyncpg.Connection,
) -> None:
    device, app = await known(app_user("device")), await known(app_user("42"))
    identities = [{"namespace": "app_user", "issuer": "demo", "value": "42"}, PHONE]

    response = await sign_up(member, server, invitation=invite(device), identities=identities)

    assert response.status_code == 201, response.text
    assert [one["status"] for one in response.json()["identities"]] == ["joined", "joined"]
    person = await read(member, server, response.json()["person_id"])
    assert {device, app} < set(map(UUID, person["subjects"]))
    assert all(one["verified"] for one in person["identities"])
    assert len(person["identities"]) == 3
    evidence = await database.fetch("SELECT DISTINCT evidence, actor FROM member.merges")
    assert [tuple(row) for row in evidence] == [("sign_up", "server:test")]
    assert {event["data"]["lifecycle"] for event in [(await told(database, app))[-1]]} == {"member"}


async def test_a_second_member_number_waits_for_review(
    member: httpx.AsyncClient, server: dict[str, str]
) -> None:
    first = await sign_up(member, server, identities=[PHONE, MEMBER_NO])
    second = await sign_up(member, server, identities=[PHONE, MEMBER_NO | {"value": "2002"}])

    assert [one["status"] for one in first.json()["identities"]] == ["joined", "joined"]
    assert second.json()["identities"][1] == {
        "namespace": "member_no",
        "status": "review",
        "reason": "unique_namespace",
    }
    (waiting,) = (await member.get("/v1/merge-reviews", headers=server)).json()["items"]
    assert waiting["reason"] == "unique_namespace"
    assert first.json()["person_id"] in waiting["person_ids"]


async def test_a_review_is_over_once_both_are_one_person_by_whatever_way(
    member: httpx.AsyncClient, server: dict[str, str]
) -> None:
    numbers = MEMBER_NO, MEMBER_NO | {"value": "2002"}
    for number in numbers:
        await sign_up(member, server, identities=[PHONE, number])
    both = [{"identity": number} for number in numbers]
    body = {"people": both, "evidence": "showed both cards", "override": True}

    merged = await member.post("/v1/people/merge", json=body, headers=server | key())

    assert merged.status_code == 201, merged.text
    reviews = "/v1/merge-reviews"
    assert (await member.get(reviews, headers=server)).json()["items"] == []
    await member.post(f"/v1/merges/{merged.json()['merge_id']}/undo", headers=server)
    assert len((await member.get(reviews, headers=server)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"profile": {"name": "x" * 201}}, "/profile/name"),
        ({"profile": {"name": "\0"}}, "/profile"),
        ({"profile": {"Name": "x"}}, "/profile/Name"),
        ({"identities": [PHONE | {"value": "138"}]}, "/identities/0/value"),
        ({"consents": [{"purpose": "push", "version": "1"}]}, "/consents/0/purpose"),
        (
            {"consents": [{"purpose": "profiling", "version": "1",
                           "given_at": "2099-01-01T00:00:00Z"}]},
            "/consents/0/given_at",
        ),
    ],
)  # fmt: skip
async def test_a_malformed_sign_up_names_its_field_and_leaves_the_invitation_good(
    member: httpx.AsyncClient, invite: Invite, change: dict[str, Any], pointer: str
) -> None:
    invitation = invite(uuid4())

    refused = await sign_up(member, invitation=invitation, **change)
    accepted = await sign_up(member, invitation=invitation)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert accepted.status_code == 201


@pytest.mark.slow
async def test_a_sign_up_by_invitation_counts_against_its_subjects_rate(
    member: httpx.AsyncClient, invite: Invite
) -> None:
    subject = uuid4()

    answers = await asyncio.gather(
        *(sign_up(member, invitation=invite(subject)) for _ in range(150)),
    )

    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in limited)

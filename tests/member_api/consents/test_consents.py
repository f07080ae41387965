"""Saying yes and no over HTTP, and what geo_api is told of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest

from shared.auth import Role, read_signed
from shared.ids import birth_person_id
from shared.keys import MemberKeys
from tests.conftest import Tokens
from tests.member_api.conftest import Known, key
from tests.member_api.events import app_user
from tests.member_api.people.test_merges import merge, undo

pytestmark = pytest.mark.slow

SUBJECT = {"namespace": "app_user", "issuer": "demo", "value": "1"}


async def give(member: httpx.AsyncClient, headers: dict[str, str], **body: Any) -> httpx.Response:
    said = {"purpose": "marketing_push", "version": "2026-11", "state": "granted"} | body
    return await member.post("/v1/consents", json=said, headers=headers | key())


async def in_force(
    member: httpx.AsyncClient, headers: dict[str, str], subject: UUID, **params: Any
) -> dict[str, str]:
    """Purpose to state, for one subject."""
    path = f"/v1/people/{birth_person_id(subject)}/consents"
    response = await member.get(path, params=params, headers=headers)
    assert response.status_code == 200, response.text
    held = response.json()["in_force"]
    return {one["purpose"]: one["state"] for one in held if one["subject_id"] == str(subject)}


async def told(database: asyncpg.Connection, subject: UUID) -> list[dict[str, Any]]:
    """What waits in the outbox about a subject, in the order of revisions, each with its lane."""
    rows = await database.fetch(
        "SELECT lane, payload FROM member.outbox WHERE subject_id = $1", subject
    )
    events = [orjson.loads(row["payload"]) | {"lane": row["lane"]} for row in rows]
    return sorted(events, key=lambda event: event["revision"])


async def test_a_grant_answers_a_receipt_that_geo_api_can_check(
    member: httpx.AsyncClient, server: dict[str, str], member_keys: MemberKeys, subject_of: Any
) -> None:
    response = await give(member, server, subject=SUBJECT, given_at="2026-11-20T09:00:00Z")

    assert response.status_code == 201, response.text
    claims = read_signed(response.json()["receipt"], member_keys.public)
    assert claims["iss"] == "member"
    assert claims["aud"] == "consent"
    assert claims["sub"] == str(subject_of(app_user("1")))
    assert (claims["purpose"], claims["version"]) == ("marketing_push", "2026-11")
    assert datetime.fromisoformat(claims["given_at"]) == datetime(2026, 11, 20, 9, tzinfo=UTC)


async def test_a_consent_stands_in_history_timeline_and_feed(
    member: httpx.AsyncClient,
    server: dict[str, str],
    subject_of: Any,
    database: asyncpg.Connection,
) -> None:
    terms = {"language": "zh-CN", "channel": "app", "proof": "screen 3, box ticked"}
    given = (await give(member, server, subject=SUBJECT, **terms)).json()
    subject = subject_of(app_user("1"))
    person = f"/v1/people/{given['person_id']}"

    history = (await member.get(f"{person}/consents", headers=server)).json()
    timeline = (await member.get(f"{person}/timeline", headers=server)).json()

    (record,) = history["items"]
    assert {name: record[name] for name in terms} == terms
    assert record["consent_id"] == given["consent_id"]
    assert [item["type"] for item in timeline["items"]] == ["consent_changed"]
    (event,) = await told(database, subject)
    assert event["data"]["consents"]["marketing_push"]["state"] == "granted"
    assert (event["revision"], event["lane"]) == (1, 1)
    stored = await database.fetchval("SELECT proof FROM member.consents")
    assert b"box ticked" not in stored


async def test_a_withdrawal_is_one_call_and_overtakes_other_news(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tokens: Tokens,
    subject_of: Any,
    database: asyncpg.Connection,
) -> None:
    given = (await give(member, server, subject=SUBJECT)).json()
    subject = subject_of(app_user("1"))
    own = tokens(Role.MEMBER, subject_id=subject)
    path = f"/v1/people/me/consents/{given['consent_id']}/withdrawal"

    first = await member.post(path, headers=own)
    again = await member.post(path, headers=own)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["withdraws"] == given["consent_id"]
    assert await in_force(member, server, subject) == {"marketing_push": "withdrawn"}
    latest = (await told(database, subject))[-1]
    assert latest["data"]["consents"]["marketing_push"]["state"] == "withdrawn"
    assert (latest["revision"], latest["lane"]) == (2, 0)


async def test_what_was_in_force_at_any_past_instant_can_be_rebuilt(
    member: httpx.AsyncClient, server: dict[str, str], subject_of: Any
) -> None:
    subject = subject_of(app_user("1"))
    before = datetime.now(UTC)
    given = (await give(member, server, subject=SUBJECT)).json()
    between = datetime.now(UTC)
    path = f"/v1/people/{given['person_id']}/consents/{given['consent_id']}/withdrawal"
    await member.post(path, headers=server)

    then = await in_force(member, server, subject, at=between.isoformat())

    assert await in_force(member, server, subject, at=before.isoformat()) == {}
    assert then == {"marketing_push": "granted"}
    assert await in_force(member, server, subject) == {"marketing_push": "withdrawn"}


async def test_a_merge_binds_to_the_refusal_and_an_un_merge_frees_again(
    member: httpx.AsyncClient,
    server: dict[str, str],
    known: Known,
    database: asyncpg.Connection,
) -> None:
    one, other = await known(app_user("1")), await known(app_user("2"))
    await give(member, server, subject=SUBJECT, state="granted")
    await give(member, server, subject=SUBJECT | {"value": "2"}, state="denied")
    apart = [await in_force(member, server, subject) for subject in (one, other)]

    merged = (await merge(member, server, one, other)).json()
    while_merged = datetime.now(UTC)
    together = [await in_force(member, server, subject) for subject in (one, other)]
    await undo(member, server, merged["merge_id"])

    assert apart == [{"marketing_push": "granted"}, {"marketing_push": "denied"}]
    assert together == [{"marketing_push": "denied"}] * 2
    assert [await in_force(member, server, subject) for subject in (one, other)] == apart
    at = while_merged.isoformat()
    assert [await in_force(member, server, s, at=at) for s in (one, other)] == together
    events = await told(database, one)
    states = [event["data"]["consents"]["marketing_push"]["state"] for event in events]
    assert states == ["granted", "denied", "granted"]
    assert [event["revision"] for event in events] == [1, 2, 3]


async def test_a_grant_that_a_sibling_refused_gets_no_receipt(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    one, other = await known(app_user("1")), await known(app_user("2"))
    await give(member, server, subject=SUBJECT | {"value": "2"}, state="denied")
    await merge(member, server, one, other)

    granted = await give(member, server, subject=SUBJECT)
    confirmed = await give(member, server, subject=SUBJECT, confirms_person=True)

    assert granted.json()["receipt"] is None
    assert confirmed.json()["receipt"] is not None
    assert await in_force(member, server, other) == {"marketing_push": "granted"}


async def test_a_refusal_gets_no_receipt_whatever_was_granted_later(
    member: httpx.AsyncClient, server: dict[str, str]
) -> None:
    await give(member, server, subject=SUBJECT, given_at="2026-11-20T09:00:00Z")

    denied = {"state": "denied", "given_at": "2026-11-19T09:00:00Z"}
    response = await give(member, server, subject=SUBJECT, **denied)

    assert (response.status_code, response.json()["receipt"]) == (201, None)


async def test_a_confirmation_widens_nothing_for_who_is_merged_later(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    one, other, silent = [await known(app_user(name)) for name in "123"]
    await give(member, server, subject=SUBJECT | {"value": "2"}, state="denied")
    await give(member, server, subject=SUBJECT, confirms_person=True)

    merged = (await merge(member, server, one, silent)).json()
    assert await in_force(member, server, one) == {"marketing_push": "granted"}
    assert await in_force(member, server, silent) == {}

    await merge(member, server, one, other)
    for subject in (one, other, silent):
        assert await in_force(member, server, subject) == {"marketing_push": "denied"}

    await give(member, server, subject=SUBJECT, confirms_person=True)
    for subject in (one, other, silent):
        assert await in_force(member, server, subject) == {"marketing_push": "granted"}

    await undo(member, server, merged["merge_id"])
    assert await in_force(member, server, silent) == {}


async def test_a_member_speaks_for_itself_only(member: httpx.AsyncClient, tokens: Tokens) -> None:
    subject = uuid4()
    own = tokens(Role.MEMBER, subject_id=subject)

    accepted = await give(member, own)
    for_another = await give(member, own, subject=SUBJECT)

    assert accepted.status_code == 201, accepted.text
    assert accepted.json()["subject_id"] == str(subject)
    assert for_another.status_code == 403


async def test_the_same_consent_sent_again_is_written_once(
    member: httpx.AsyncClient, server: dict[str, str], database: asyncpg.Connection
) -> None:
    body = {"subject": SUBJECT, "purpose": "profiling", "version": "1"}
    headers = server | key()

    answers = [await member.post("/v1/consents", json=body, headers=headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.content for answer in answers}) == 1
    assert await database.fetchval("SELECT count(*) FROM member.consents") == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"purpose": ["locate_now", "profiling"]}, "/purpose"),
        ({"purpose": "everything"}, "/purpose"),
        ({"version": ""}, "/version"),
        ({"given_at": "2026-11-20"}, "/given_at"),
        ({"given_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "/given_at"),
        ({"subject": None}, "/subject"),
        ({"subject": SUBJECT | {"value": "anonymous"}}, "/subject/value"),
        ({"subject": {"namespace": "app_user", "value": "1"}}, "/subject/issuer"),
        ({"unknown": 1}, "/unknown"),
        ({"state": "denied", "confirms_person": True}, "/confirms_person"),
    ],
)
async def test_a_malformed_consent_names_its_field_and_changes_nothing(
    member: httpx.AsyncClient,
    server: dict[str, str],
    database: asyncpg.Connection,
    change: dict[str, Any],
    pointer: str,
) -> None:
    response = await give(member, server, **({"subject": SUBJECT} | change))

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer
    assert await database.fetchval("SELECT count(*) FROM member.subjects") == 0


async def test_a_key_is_needed(member: httpx.AsyncClient, server: dict[str, str]) -> None:
    body = {"subject": SUBJECT, "purpose": "profiling", "version": "1"}

    response = await member.post("/v1/consents", json=body, headers=server)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "header:Idempotency-Key"


async def test_a_denial_cannot_be_withdrawn(
    member: httpx.AsyncClient, server: dict[str, str]
) -> None:
    given = (await give(member, server, subject=SUBJECT, state="denied")).json()
    path = f"/v1/people/{given['person_id']}/consents/{given['consent_id']}/withdrawal"

    refused = await member.post(path, headers=server)
    unknown = await member.post(
        f"/v1/people/{given['person_id']}/consents/{uuid4()}/withdrawal", headers=server
    )

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/nothing-to-withdraw")
    assert unknown.status_code == 404

"""A request that is repeated after the erasure of whom it was about brings nobody back."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from shared.auth import Role
from shared.identity import Identity, Namespace
from tests.conftest import Tokens
from tests.member_api.conftest import Invite, Known, key
from tests.member_api.events import app_user
from tests.member_api.profiles.test_erasure import erase, tables_with, whole_database
from tests.member_api.signups.test_sign_ups import PHONE

pytestmark = pytest.mark.slow

Request = tuple[str, dict[str, Any], dict[str, str]]
"""Path, body and headers."""


@pytest.fixture
async def subject(known: Known) -> UUID:
    return await known(Identity(Namespace.PHONE, "", PHONE["value"]))


@pytest.fixture(params=["vouched", "own", "invited", "consent", "own consent", "merge"])
async def asked(
    request: pytest.FixtureRequest,
    subject: UUID,
    server: dict[str, str],
    tokens: Tokens,
    invite: Invite,
    known: Known,
) -> Request:
    """Something that may be asked about the subject, each with a key of its own."""
    own = tokens(Role.MEMBER, subject_id=subject)
    consent = {"purpose": "profiling", "version": "1"}
    await known(app_user("2"))
    other = {"namespace": "app_user", "issuer": "demo", "value": "2"}
    two = [{"identity": PHONE}, {"identity": other}]
    requests: dict[str, Request] = {
        "vouched": ("/v1/sign-ups", {"identities": [PHONE]}, server),
        "own": ("/v1/sign-ups", {"profile": {"name": "Li"}}, own),
        "invited": ("/v1/sign-ups", {"invitation": invite(subject)}, {}),
        "consent": ("/v1/consents", consent | {"subject": PHONE}, server),
        "own consent": ("/v1/consents", consent, own),
        "merge": ("/v1/people/merge", {"people": two, "evidence": "e"}, server),
    }
    path, body, headers = requests[request.param]
    return path, body, headers | {"Idempotency-Key": f"{subject}-{uuid4()}"}


async def test_a_repeat_is_refused_and_makes_no_row(
    member: httpx.AsyncClient,
    server: dict[str, str],
    subject: UUID,
    asked: Request,
    database: asyncpg.Connection,
) -> None:
    path, body, headers = asked
    first = await member.post(path, json=body, headers=headers)
    assert first.status_code == 201, first.text
    await erase(member, server, subject)

    repeats = [await member.post(path, json=body, headers=headers) for _ in range(2)]

    assert [(r.status_code, r.json()["type"]) for r in repeats] == [(409, "/problems/erased")] * 2
    assert repeats[0].content == repeats[1].content
    count = "SELECT count(*) FROM member.subjects WHERE subject_id = $1"
    assert await database.fetchval(count, subject) == 0
    await database.execute("DELETE FROM member.outbox")  # as once geo_api has confirmed it
    assert tables_with(await whole_database(database), str(subject), PHONE["value"]) == set()


async def test_a_repeat_that_comes_while_the_person_is_erased_makes_no_row_either(
    member: httpx.AsyncClient, server: dict[str, str], subject: UUID, database: asyncpg.Connection
) -> None:
    body, headers = {"identities": [PHONE]}, server | key()
    await member.post("/v1/sign-ups", json=body, headers=headers)

    async def repeat() -> int:
        return (await member.post("/v1/sign-ups", json=body, headers=headers)).status_code

    statuses = await asyncio.gather(*(repeat() for _ in range(4)), erased(member, server, subject))

    assert set(statuses[:4]) <= {200, 409}
    assert await database.fetchval("SELECT count(*) FROM member.subjects") == 0


async def erased(member: httpx.AsyncClient, server: dict[str, str], subject: UUID) -> int:
    return (await erase(member, server, subject)).status_code


async def test_a_new_key_after_an_erasure_is_a_joining_anew(
    member: httpx.AsyncClient, server: dict[str, str], subject: UUID
) -> None:
    body = {"identities": [PHONE]}
    await member.post("/v1/sign-ups", json=body, headers=server | key())
    await erase(member, server, subject)

    anew = await member.post("/v1/sign-ups", json=body, headers=server | key())

    assert (anew.status_code, anew.json()["already_member"]) == (201, False)


async def test_the_answers_to_others_stay(
    member: httpx.AsyncClient, server: dict[str, str], subject: UUID
) -> None:
    other = {"namespace": "app_user", "issuer": "demo", "value": "2"}
    headers = server | key()
    first = await member.post("/v1/sign-ups", json={"identities": [other]}, headers=headers)
    await erase(member, server, subject)

    again = await member.post("/v1/sign-ups", json={"identities": [other]}, headers=headers)

    assert (again.status_code, again.content) == (200, first.content)

"""After an erasure nothing is left, nothing comes back, and joining anew works."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest

from shared.auth import Role
from shared.ids import birth_person_id
from tests.conftest import Tokens
from tests.member_api.conftest import Invite, Known, Tell
from tests.member_api.consents.test_consents import give
from tests.member_api.events import app_user, at, check_in, event, observed, redeemed, visit
from tests.member_api.people.test_merges import merge
from tests.member_api.signups.test_sign_ups import PHONE, sign_up

pytestmark = pytest.mark.slow

NEEDLE = "needle-in-the-haystack"
SUBJECT = {"namespace": "app_user", "issuer": "demo", "value": "1"}


async def whole_database(database: asyncpg.Connection) -> dict[str, bytes]:
    """Every row of every table of the schema, as text."""
    tables = await database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'member' ORDER BY 1"
    )
    dump = {}
    for (table,) in tables:
        text = io.BytesIO()
        await database.copy_from_query(f'SELECT * FROM member."{table}"', output=text)
        dump[table] = text.getvalue()
    return dump


def tables_with(dump: dict[str, bytes], *needles: str) -> set[str]:
    return {
        table for table, text in dump.items() if any(needle.encode() in text for needle in needles)
    }


async def erase(
    member: httpx.AsyncClient, headers: dict[str, str], subject: UUID
) -> httpx.Response:
    return await member.delete(f"/v1/people/{birth_person_id(subject)}", headers=headers)


@pytest.fixture
async def seeded(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tokens: Tokens,
    tell: Tell,
    known: Known,
    invite: Invite,
) -> tuple[UUID, UUID]:
    """A person of two subjects that left traces in every table there is."""
    one, other = await known(app_user("1")), await known(app_user("2"))
    own = tokens(Role.MEMBER, subject_id=one)
    bought, returned = uuid4(), uuid4()
    await tell(
        check_in(one, time=at(0), note=NEEDLE),
        visit("visit_entered", one, uuid4(), at(0)),
        redeemed(one, bought, time=at(1)),
        redeemed(other, returned, time=at(2)),
        event("coupon_granted", other, "c", time=at(3), data={"title": NEEDLE}),
    )
    await give(member, own, proof=NEEDLE, channel=NEEDLE)
    claimed = PHONE | {"value": "+8613900000001"}
    joined = await sign_up(
        member, own, profile={"name": NEEDLE}, identities=[claimed], invitation=invite(one)
    )
    assert joined.status_code == 201, joined.text
    claims_other = {"namespace": "app_user", "issuer": "demo", "value": "2"}
    stranger = uuid4()
    await sign_up(member, invitation=invite(stranger), identities=[claims_other])
    merged = await merge(member, server, one, other, evidence=NEEDLE)
    assert merged.status_code == 201
    return one, other


async def test_after_an_erasure_nothing_is_left(
    member: httpx.AsyncClient,
    server: dict[str, str],
    seeded: tuple[UUID, UUID],
    database: asyncpg.Connection,
) -> None:
    needles = (NEEDLE, *map(str, seeded), *(str(birth_person_id(subject)) for subject in seeded))
    before = tables_with(await whole_database(database), *needles)
    assert before >= {
        "claims", "consents", "identities", "idempotency_keys", "inbox", "memberships", "merges",
        "outbox", "personal_profiles", "redemptions", "subjects", "timeline_items_p_2026_11",
        "visits",
    }  # fmt: skip

    response = await erase(member, server, seeded[0])

    assert response.status_code == 200, response.text
    assert response.json()["subjects_erased"] == 2
    waiting = await database.fetch("SELECT * FROM member.outbox WHERE subject_id = ANY($1)", seeded)
    assert {(row["type"], row["lane"]) for row in waiting} == {("subject_erased", 0)}
    assert len(waiting) == 2
    await database.execute("DELETE FROM member.outbox")  # as once geo_api has confirmed it
    assert tables_with(await whole_database(database), *needles) == set()
    for subject in seeded:
        path = f"/v1/people/{birth_person_id(subject)}"
        assert (await member.get(path, headers=server)).status_code == 404


async def test_the_books_keep_the_amounts_and_lose_the_subject(
    member: httpx.AsyncClient,
    server: dict[str, str],
    seeded: tuple[UUID, UUID],
    database: asyncpg.Connection,
) -> None:
    await erase(member, server, seeded[1])

    rows = await database.fetch("SELECT amount_minor, currency FROM member.erased_redemptions")
    assert [tuple(row) for row in rows] == [(4200, "CNY")] * 2


async def test_what_happened_before_never_comes_back(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    installation_keys: Path,
    seeded: tuple[UUID, UUID],
    database: asyncpg.Connection,
) -> None:
    await erase(member, server, seeded[0])

    results = await tell(
        check_in(seeded[0], time=at(0)),
        check_in(seeded[1], time=at(1)),
        observed(installation_keys, app_user("1"), time=at(2)),
        visit("visit_entered", seeded[0], uuid4(), at(0), retracted=True, revision=2),
    )

    assert {one["status"] for one in results} == {"duplicate"}
    for table in ("subjects", "inbox", "identities", "visits", "timeline_items"):
        left = f"SELECT count(*) FROM member.{table} WHERE subject_id = ANY($1)"
        assert await database.fetchval(left, seeded) == 0


async def test_what_was_vouched_before_never_comes_back(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tokens: Tokens,
    invite: Invite,
    seeded: tuple[UUID, UUID],
) -> None:
    invitation = invite(seeded[0])
    await asyncio.sleep(1.1)  # invitations count whole seconds
    await erase(member, server, seeded[0])
    own = tokens(Role.MEMBER, subject_id=seeded[0])

    consent = await give(member, own, given_at="2026-11-20T09:00:00Z")
    joined = await sign_up(member, invitation=invitation)

    assert (consent.status_code, consent.json()["type"]) == (409, "/problems/erased")
    assert (joined.status_code, joined.json()["type"]) == (410, "/problems/invitation-erased")


async def test_joining_anew_after_an_erasure_works(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    invite: Invite,
    seeded: tuple[UUID, UUID],
    database: asyncpg.Connection,
) -> None:
    erased_at = datetime.fromisoformat((await erase(member, server, seeded[0])).json()["erased_at"])
    await asyncio.sleep(1.1)  # invitations count whole seconds

    later = check_in(seeded[0], time=datetime.now(UTC) + timedelta(seconds=1))
    await tell(later)
    joined = await sign_up(member, invitation=invite(seeded[0]))

    assert joined.status_code == 201, joined.text
    person = (await member.get(f"/v1/people/{joined.json()['person_id']}", headers=server)).json()
    assert person["subjects"] == [str(seeded[0])]
    assert person["traits"]["check_ins"] == 1
    assert person["profile"] == {}
    rows = await database.fetch(
        "SELECT payload FROM member.outbox WHERE type = 'audience_changed' AND subject_id = $1",
        seeded[0],
    )
    revisions = [orjson.loads(row["payload"])["revision"] for row in rows]
    assert min(revisions) > int(erased_at.timestamp())


async def test_events_that_race_with_an_erasure_leave_nothing_behind(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, database: asyncpg.Connection
) -> None:
    subjects = [uuid4() for _ in range(6)]
    await tell(*(check_in(subject) for subject in subjects))

    async def keep_telling() -> None:
        for minute in range(12):
            await tell(*(check_in(subject, time=at(minute)) for subject in subjects))

    await asyncio.gather(
        keep_telling(), keep_telling(), *(erase(member, server, subject) for subject in subjects)
    )

    for table in ("subjects", "inbox", "timeline_items"):
        left = f"SELECT count(*) FROM member.{table} WHERE subject_id = ANY($1)"
        assert await database.fetchval(left, subjects) == 0
    assert await database.fetchval("SELECT count(*) FROM member.tombstones") == len(subjects)


async def test_an_export_holds_everything(
    member: httpx.AsyncClient, server: dict[str, str], seeded: tuple[UUID, UUID]
) -> None:
    path = f"/v1/people/{birth_person_id(seeded[0])}/export"

    whole: dict[str, Any] = (await member.get(path, headers=server)).json()

    assert set(whole["person"]["subjects"]) == set(map(str, seeded))
    types = sorted(item["type"] for item in whole["timeline"])
    assert types == sorted([
        "check_in", "visit_entered", "coupon_redeemed", "coupon_redeemed", "coupon_granted",
        "consent_changed", "signed_up",
    ])  # fmt: skip
    assert whole["consents"][0]["proof"] == NEEDLE
    assert len(whole["merges"]) == 1
    assert (len(whole["visits"]), len(whole["redemptions"])) == (1, 2)
    assert whole["person"]["profile"] == {"name": NEEDLE}


async def test_only_a_server_erases(
    member: httpx.AsyncClient, tokens: Tokens, seeded: tuple[UUID, UUID]
) -> None:
    own = tokens(Role.MEMBER, subject_id=seeded[0])

    assert (await erase(member, own, seeded[0])).status_code == 403
    assert (await erase(member, tokens(Role.MARKETER), seeded[0])).status_code == 403
    assert (await erase(member, tokens(Role.SERVER), uuid4())).status_code == 404

"""Consents, merges and erasures that come from member_api, in any order with the check-ins."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.presence import repository as presence
from services.geo_api.presence.service import expire_silent_visits
from services.geo_api.subjects import repository as subjects
from shared.direct import Direct
from shared.identity import Namespace, normalise, subject_id
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.audience import MemberVoice, consent, erasure, facts
from tests.geo_api.checkins.helpers import ago, body, person
from tests.geo_api.checkins.tables import rows

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"
LEFT_BY_AN_ERASURE = {"tombstones"}


@pytest.fixture
def member_api(geo: httpx.AsyncClient, installation_keys: Path) -> MemberVoice:
    return MemberVoice(geo, installation_keys)


def subject_of(app: FastAPI, value: str) -> UUID:
    return subject_id(app.state.keys.identity, normalise(Namespace.APP_USER, "demo", value))


def vouched(at: datetime) -> dict[str, Any]:
    return {"purpose": "visit_history", "version": "2026-11", "given_at": at.isoformat()}


async def tables_naming(urls: DatabaseUrls, subject: UUID) -> set[str]:
    stored = await rows(urls, whole=True)
    return {table for table, lines in stored.items() if any(str(subject) in x for x in lines)}


def status(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json()["check_in"]["reason"]


async def test_facts_that_come_before_the_first_check_in_count_for_it(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], member_api: MemberVoice
) -> None:
    who = subject_of(geo_app, "early")
    granted = consent("granted", datetime.now(UTC) - timedelta(days=1))
    assert await member_api.tell(facts(who, **granted, lifecycle="member")) == ["applied"]
    sent = body(subject=person("early"), consent=None)
    answer = await geo.post(PATH, json=sent, headers=server)
    assert answer.status_code == 201
    assert answer.json()["invitation"] is None


async def test_facts_out_of_order_leave_the_latest(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], member_api: MemberVoice
) -> None:
    who, given = subject_of(geo_app, "a"), datetime.now(UTC) - timedelta(days=1)
    withdrawn = facts(who, 3, **consent("withdrawn", datetime.now(UTC)))
    assert await member_api.tell(withdrawn) == ["applied"]
    granted = facts(who, 2, **consent("granted", given))
    assert await member_api.tell(granted) == ["duplicate"]
    answer = await geo.post(PATH, json=body(subject=person("a"), consent=None), headers=server)
    assert status(answer) == (200, "consent_withdrawn")


async def test_a_withdrawal_beats_a_vouch_given_before_it_and_not_one_given_after(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], member_api: MemberVoice
) -> None:
    withdrawn_at = datetime.now(UTC) - timedelta(hours=1)
    told = facts(subject_of(geo_app, "a"), **consent("withdrawn", withdrawn_at))
    await member_api.tell(told)
    answers = [
        await geo.post(
            PATH, json=body(subject=person("a"), consent=vouched(withdrawn_at + by)), headers=server
        )
        for by in (timedelta(seconds=-1), timedelta(0), timedelta(seconds=1))
    ]
    assert [status(answer) for answer in answers] == [
        (200, "consent_withdrawn"),
        (200, "consent_withdrawn"),
        (201, None),
    ]


async def test_a_repeat_gets_its_answer_though_consent_was_withdrawn_meanwhile(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], member_api: MemberVoice
) -> None:
    who = subject_of(geo_app, "a")
    given = datetime.now(UTC) - timedelta(days=1)
    await member_api.tell(facts(who, 1, **consent("granted", given)))
    sent = body(subject=person("a"), consent=None)
    first = await geo.post(PATH, json=sent, headers=server)
    assert first.status_code == 201
    await member_api.tell(facts(who, 2, **consent("withdrawn", datetime.now(UTC))))
    repeat = await geo.post(PATH, json=sent, headers=server)
    assert (repeat.status_code, repeat.content) == (200, first.content)
    other = await geo.post(PATH, json={**sent, "accuracy_m": 11}, headers=server)
    assert other.status_code == 409


async def test_an_erasure_leaves_a_keyed_hash_and_nothing_else(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    member_api: MemberVoice,
    database_urls: DatabaseUrls,
) -> None:
    who = subject_of(geo_app, "a")
    await geo.post(PATH, json=body(subject=person("a")), headers=server)
    assert "check_ins" in await tables_naming(database_urls, who)
    assert await member_api.tell(erasure(who, datetime.now(UTC))) == ["applied"]
    assert await tables_naming(database_urls, who) == set()
    assert len((await rows(database_urls))["tombstones"]) == 1


async def test_what_occurred_or_was_vouched_before_an_erasure_stays_forgotten(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    member_api: MemberVoice,
    database_urls: DatabaseUrls,
) -> None:
    who, erased_at = subject_of(geo_app, "a"), datetime.now(UTC) - timedelta(minutes=5)
    await member_api.tell(erasure(who, erased_at))
    now = datetime.now(UTC)
    late = body(subject=person("a"), occurred_at=ago(minutes=6), consent=vouched(now))
    stale = body(subject=person("a"), consent=vouched(erased_at))
    silent = body(subject=person("a"), occurred_at=ago(minutes=6), consent=None)
    for sent in (late, stale, silent):
        answer = await geo.post(PATH, json=sent, headers=server)
        assert status(answer) == (200, "erased")
        assert answer.json()["invitation"] is None
    assert await tables_naming(database_urls, who) == set()
    anew = body(subject=person("a"), consent=vouched(erased_at + timedelta(seconds=1)))
    assert (await geo.post(PATH, json=anew, headers=server)).status_code == 201
    assert status(await geo.post(PATH, json=late, headers=server)) == (200, "erased")


async def test_facts_from_before_an_erasure_do_not_bring_the_subject_back(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    member_api: MemberVoice,
    database_urls: DatabaseUrls,
) -> None:
    """The lane of erasures overtakes the other, so such facts come by the rules."""
    who, erased_at = subject_of(geo_app, "a"), datetime.now(UTC) - timedelta(minutes=5)
    granted = consent("granted", erased_at - timedelta(days=1))
    await member_api.tell(erasure(who, erased_at))
    assert await member_api.tell(facts(who, 7, **granted)) == ["duplicate"]
    assert await member_api.tell(facts(who, 8, **granted), erasure(who, erased_at)) == [
        "duplicate",
        "applied",
    ]
    assert await tables_naming(database_urls, who) == set()
    late = body(subject=person("a"), occurred_at=ago(minutes=6))
    assert status(await geo.post(PATH, json=late, headers=server)) == (200, "erased")


@pytest.mark.parametrize("way", ["facts", "session"])
async def test_whoever_joins_anew_stays_erased_for_the_time_before(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    member_api: MemberVoice,
    way: str,
) -> None:
    who, erased_at = subject_of(geo_app, "a"), datetime.now(UTC) - timedelta(minutes=5)
    await member_api.tell(erasure(who, erased_at))
    if way == "facts":
        told = facts(who, int(erased_at.timestamp()) + 1, **consent("granted", datetime.now(UTC)))
        assert await member_api.tell(told) == ["applied"]
    else:
        named = {"subject": person("a")}
        opened = await geo.post("/v1/sessions", json=named, headers=server)
        assert opened.status_code == 201
    late = body(subject=person("a"), occurred_at=ago(minutes=6), consent=vouched(datetime.now(UTC)))
    assert status(await geo.post(PATH, json=late, headers=server)) == (200, "erased")
    now = body(subject=person("a"), consent=vouched(datetime.now(UTC)))
    assert (await geo.post(PATH, json=now, headers=server)).status_code == 201


async def test_an_erasure_waits_for_a_group_in_flight_and_takes_it_along(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    member_api: MemberVoice,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who = subject_of(geo_app, "a")
    held, go_on = asyncio.Event(), asyncio.Event()
    lock = subjects.lock_and_read

    async def hold(*arguments: Any) -> Any:
        found = await lock(*arguments)
        held.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(subjects, "lock_and_read", hold)
    checking_in = asyncio.create_task(
        geo.post(PATH, json=body(subject=person("a")), headers=server)
    )
    await held.wait()
    erasing = asyncio.create_task(member_api.tell(erasure(who, datetime.now(UTC))))
    await asyncio.sleep(0.2)
    assert not erasing.done()
    go_on.set()
    assert (await checking_in).status_code == 201
    assert await erasing == ["applied"]
    assert await tables_naming(database_urls, who) == set()


async def test_a_sweep_that_meets_an_erasure_makes_no_row(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    member_api: MemberVoice,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who = subject_of(geo_app, "a")
    await geo.post(PATH, json=body(subject=person("a")), headers=server)
    perhaps_silent = presence.perhaps_silent

    async def then_erase(connection: AsyncConnection, *arguments: Any) -> list[UUID]:
        found = await perhaps_silent(connection, *arguments)
        await member_api.tell(erasure(who, datetime.now(UTC)))
        return found

    monkeypatch.setattr(presence, "perhaps_silent", then_erase)
    state = geo_app.state
    later = datetime.now(UTC) + timedelta(hours=1)
    async with state.database.begin() as connection:
        assert await expire_silent_visits(connection, state.feed_tables, later) == 0
    assert await tables_naming(database_urls, who) == set()


async def test_a_sibling_learnt_of_by_the_lock_is_locked_too(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    member_api: MemberVoice,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Caps per person are counted under the locks of all its subjects, or they do not hold."""
    one, other = (subject_of(geo_app, name) for name in "ab")
    await geo.post(PATH, json=body(subject=person("a")), headers=server)
    await geo.post(PATH, json=body(subject=person("b")), headers=server)
    execute = Direct.execute
    elsewhere = await asyncpg.connect(database_urls.superuser.replace("+asyncpg", ""))
    deciding_other = elsewhere.transaction()

    async def merge_meanwhile(*arguments: Any) -> Any:
        monkeypatch.undo()
        kin = [str(subject) for subject in sorted((one, other))]
        await member_api.tell(*(facts(subject, siblings=kin) for subject in (one, other)))
        await deciding_other.start()
        await elsewhere.execute("SELECT FROM geo.subjects WHERE subject_id = $1 FOR UPDATE", other)
        return await execute(*arguments)

    monkeypatch.setattr(Direct, "execute", merge_meanwhile)  # before the statement that locks
    check_in = asyncio.create_task(geo.post(PATH, json=body(subject=person("a")), headers=server))
    await asyncio.sleep(0.5)
    assert not check_in.done()
    await deciding_other.rollback()
    assert (await check_in).status_code == 201
    await elsewhere.close()

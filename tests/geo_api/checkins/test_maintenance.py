"""What happens by time alone, with the time set: retention, day keys, months, silent visits."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from asgi_lifespan import LifespanManager
from cryptography.exceptions import InvalidTag
from fastapi import FastAPI

from services.geo_api.app import create_app
from services.geo_api.checkins.maintenance import Maintenance
from services.geo_api.checkins.service.exact import open_exact
from services.geo_api.settings import GeoSettings
from shared.auth import mint
from shared.contracts.events import ConsentReceipt, Purpose
from shared.keys import load_signing_key
from shared.sealing import StorageKey
from tests.conftest import DatabaseUrls, Switchboard, Tokens
from tests.geo_api.checkins.audience import MemberVoice, consent, facts
from tests.geo_api.checkins.helpers import body, north, person
from tests.geo_api.checkins.test_consent_and_erasure import subject_of
from tests.geo_api.offers.helpers import store_offer

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class Moved:
    """A clock that stands still until it is set."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Moved:
    return Moved()


@pytest.fixture
async def geo_app(
    database_urls: DatabaseUrls, installation_keys: Path, switchboard: Switchboard, clock: Moved
) -> AsyncIterator[FastAPI]:
    """geo_api whose time is ``clock``."""
    settings = GeoSettings(
        geo_database_url=database_urls.geo,
        keys_dir=installation_keys / "geo",
        member_url="http://member",
        access_log=False,
    )
    app = create_app(settings, transport=switchboard, clock=clock)
    async with LifespanManager(app):
        yield app


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(database_urls.superuser.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest.fixture
def maintenance(geo_app: FastAPI, clock: Moved) -> Maintenance:
    state = geo_app.state
    return Maintenance(state.database, state.committer.tools, clock, state.feed.wake)


async def run(maintenance: Maintenance, job: str) -> int:
    """Do a job, waiting for the process's own run of it, if that is under way."""
    async with asyncio.timeout(10):
        while (changed := await maintenance.run(job)) is None:
            await asyncio.sleep(0.01)
        return changed


def sent_at(moment: datetime, **changes: Any) -> dict[str, Any]:
    return body(occurred_at=moment.isoformat(), **changes)


async def state_of(geo: httpx.AsyncClient, headers: dict[str, str], state: str) -> list[Any]:
    answer = await geo.get("/v1/visits", params={"state": state}, headers=headers)
    assert answer.status_code == 200
    return list(answer.json()["items"])


@pytest.fixture
async def quiet(database: "asyncpg.Connection[Any]", maintenance: Maintenance) -> None:
    """The process has done each of its jobs once, and will not again during a test."""
    async with asyncio.timeout(10):
        while await database.fetchval("SELECT count(*) FROM geo.maintenance_runs") < len(
            maintenance.jobs
        ):
            await asyncio.sleep(0.01)


async def failures(database: "asyncpg.Connection[Any]", job: str) -> Any:
    return await database.fetchval("SELECT failures FROM geo.maintenance_runs WHERE job = $1", job)


@pytest.mark.usefixtures("quiet")
async def test_a_job_that_fails_is_counted_until_it_ends_well(
    geo: httpx.AsyncClient,
    maintenance: Maintenance,
    database: "asyncpg.Connection[Any]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_arguments: Any) -> int:
        raise LookupError("nothing is where it was")

    with monkeypatch.context() as broken:
        broken.setattr("services.geo_api.checkins.maintenance.prune", fail)
        for count in (1, 2):
            await maintenance.attempt("sightings")
            assert await failures(database, "sightings") == count
        metrics = (await geo.get("/metrics")).text
        assert 'solomo_maintenance_failures{job="sightings"} 2.0' in metrics
        assert (await geo.get("/readyz")).status_code == 200

    await run(maintenance, "sightings")
    assert await failures(database, "sightings") == 0
    await maintenance.attempt("sightings")
    metrics = (await geo.get("/metrics")).text
    assert 'solomo_maintenance_failures{job="sightings"} 0.0' in metrics


@pytest.mark.usefixtures("quiet")
async def test_a_job_that_never_ended_well_has_no_time(
    maintenance: Maintenance, database: "asyncpg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.execute("DELETE FROM geo.maintenance_runs")
    monkeypatch.setattr("services.geo_api.checkins.maintenance.CELL_FOR", None)

    await maintenance.attempt("cells")

    told = await database.fetchrow(
        "SELECT ran_at, failures FROM geo.maintenance_runs WHERE job = 'cells'"
    )
    assert told is not None
    assert tuple(told) == (None, 1)
    monkeypatch.undo()
    assert await run(maintenance, "cells") == 0


async def test_inside_the_horizon_a_repeat_gets_the_same_bytes(
    geo: httpx.AsyncClient, server: dict[str, str], clock: Moved, maintenance: Maintenance
) -> None:
    sent = sent_at(START)
    first = await geo.post(PATH, json=sent, headers=server)
    clock.now = START + timedelta(days=7)
    assert await run(maintenance, "retention") == 0
    repeat = await geo.post(PATH, json=sent, headers=server)
    assert (repeat.status_code, repeat.content) == (200, first.content)


async def test_past_the_horizon_a_repeat_gets_the_reduced_answer(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
) -> None:
    await store_offer(geo_app.state.database)
    async with asyncio.timeout(5):
        while not geo_app.state.offers.current.offers:
            await asyncio.sleep(0.01)
    sent = sent_at(START)
    first = (await geo.post(PATH, json=sent, headers=server)).json()
    assert first["coupons"]
    clock.now = START + timedelta(days=7, microseconds=1)
    assert await run(maintenance, "retention") == 1
    repeat = await geo.post(PATH, params={"explain": True}, json=sent, headers=server)
    assert repeat.status_code == 200
    reduced = repeat.json()
    assert reduced.pop("decisions") == []
    [match] = first["matches"]
    assert first["invitation"] is not None
    assert reduced == {
        **first,
        "matches": [{**match, "distance_m": None, "overlap": None, "share": None}],
        "place": {**first["place"], "candidates": []},
        "coupons": [{**coupon, "code": None} for coupon in first["coupons"]],
        "invitation": None,
    }
    assert await run(maintenance, "retention") == 0


async def test_past_the_horizon_nothing_is_explained_any_more(
    geo: httpx.AsyncClient, server: dict[str, str], clock: Moved, maintenance: Maintenance
) -> None:
    sent = sent_at(START, subject=person("a"))
    await geo.post(PATH, json=sent, headers=server)
    why = f"{PATH}/{sent['id']}/explanation"
    assert (await geo.get(why, params=person("a"), headers=server)).status_code == 200
    clock.now = START + timedelta(days=7, microseconds=1)
    await run(maintenance, "retention")
    gone = await geo.get(why, params=person("a"), headers=server)
    assert (gone.status_code, gone.json()["type"]) == (410, "/problems/explanation-gone")


async def test_past_the_horizon_only_verdict_band_and_cell_are_left(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
    database: "asyncpg.Connection[Any]",
) -> None:
    await geo.post(PATH, json=sent_at(START, signals={"speed_mps": 1.5}), headers=server)
    await geo.post(PATH, json=sent_at(START, latitude=north(500)), headers=server)
    clock.now = START + timedelta(days=8)
    assert await run(maintenance, "retention") == 2
    for left in await database.fetch("SELECT * FROM geo.check_ins"):
        assert left["exact"] is left["signals"] is None
        assert left["cell"] is not None
    for receipt in await database.fetch("SELECT * FROM geo.check_in_receipts"):
        assert receipt["request_hash"] == b""
        assert receipt["answer"] is None
    assert await run(maintenance, "cells") == 0
    clock.now = START + timedelta(days=90, microseconds=1)
    assert await run(maintenance, "cells") == 2
    cells = "SELECT count(*) FROM geo.check_ins WHERE cell IS NOT NULL"
    assert await database.fetchval(cells) == 0


async def test_retention_goes_on_until_nothing_old_is_left(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch per run would fall behind for ever once more comes in than a batch per period."""
    monkeypatch.setattr("services.geo_api.checkins.maintenance._BATCH", 3)
    lines = [sent_at(START) for _ in range(10)]
    await geo.post(f"{PATH}/batch", json=lines, headers=server)
    clock.now = START + timedelta(days=8)
    assert await run(maintenance, "retention") == 10


async def test_a_receipt_that_cannot_be_read_keeps_no_other_and_no_key(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
    database: "asyncpg.Connection[Any]",
) -> None:
    broken, whole = sent_at(START), sent_at(START)
    for sent in (broken, whole):
        await geo.post(PATH, json=sent, headers=server)
    await database.execute(
        "UPDATE geo.check_in_receipts SET answer = '\\x00' WHERE check_in_id = $1", broken["id"]
    )
    clock.now = START + timedelta(days=8)

    assert await run(maintenance, "retention") == 2
    assert not await database.fetchval(
        "SELECT count(*) FROM geo.day_keys WHERE day = $1 AND wrapped_key IS NOT NULL", START.date()
    )
    again = await geo.post(PATH, json=broken, headers=server)
    assert (again.status_code, again.json()["check_in"]["status"]) == (200, "accepted")
    again = await geo.post(PATH, json=whole, headers=server)
    assert again.json()["matches"][0]["store_id"] == "s1"


async def test_a_job_that_fails_for_any_reason_is_tried_again(
    maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = asyncio.Queue[str]()

    async def fail(_: Maintenance, name: str) -> None:
        calls.put_nowait(name)
        raise KeyError(name)

    monkeypatch.setattr(Maintenance, "run", fail)
    monkeypatch.setattr(Maintenance, "jobs", {"retention": (0.0, None)})
    maintenance.start()
    async with asyncio.timeout(5):
        assert [await calls.get() for _ in range(3)] == ["retention"] * 3
    await maintenance.stop()


async def test_destroying_the_key_of_a_day_deletes_its_coordinates(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
    database: "asyncpg.Connection[Any]",
) -> None:
    await geo.post(PATH, json=sent_at(START), headers=server)
    [row] = await database.fetch("SELECT * FROM geo.check_ins")
    wrapped = await database.fetchval("SELECT wrapped_key FROM geo.day_keys")
    storage: StorageKey = geo_app.state.keys.storage
    day_key = StorageKey(storage.decrypt(wrapped, row["day"].isoformat().encode()))
    key = row["subject_id"], row["check_in_id"]
    assert open_exact(row["exact"], day_key, *key)[:2] == (40.7419, -73.9893)
    with pytest.raises(InvalidTag):
        open_exact(row["exact"], storage, *key)
    clock.now = START + timedelta(days=8)
    await run(maintenance, "retention")
    [key] = await database.fetch("SELECT * FROM geo.day_keys WHERE day = $1", row["day"])
    assert (key["wrapped_key"], key["destroyed_at"]) == (None, clock.now)


async def test_a_group_over_midnight_keeps_each_pair_under_its_own_day(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    clock: Moved,
    database: "asyncpg.Connection[Any]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    committer = geo_app.state.committer
    serve, waiting = type(committer)._serve, asyncio.Event()

    async def hold(self: Any, lane: Any, group: Any) -> None:
        await waiting.wait()
        await serve(self, lane, group)

    monkeypatch.setattr(type(committer), "_serve", hold)
    sending = []
    # The first occupies the lane; the others gather into one group meanwhile.
    for seconds in (-9, -8, -1, 1):
        clock.now = midnight + timedelta(seconds=seconds)
        sent = sent_at(clock.now)
        sending.append(asyncio.create_task(geo.post(PATH, json=sent, headers=server)))
        await asyncio.sleep(0.2)
    waiting.set()
    assert {answer.status_code for answer in await asyncio.gather(*sending)} == {201}
    storage: StorageKey = geo_app.state.keys.storage
    wrapped = {
        row["day"]: row["wrapped_key"] for row in await database.fetch("SELECT * FROM geo.day_keys")
    }
    for row in await database.fetch("SELECT * FROM geo.check_ins"):
        assert row["day"] == row["received_at"].date()
        key = StorageKey(storage.decrypt(wrapped[row["day"]], row["day"].isoformat().encode()))
        open_exact(row["exact"], key, row["subject_id"], row["check_in_id"])
    assert len(wrapped) == 2


async def test_the_next_months_have_partitions_before_they_begin(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
    database: "asyncpg.Connection[Any]",
) -> None:
    clock.now = datetime(2027, 12, 31, 23, 59, tzinfo=UTC)
    await run(maintenance, "partitions")
    clock.now = datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)
    await geo.post(PATH, json=sent_at(clock.now), headers=server)
    where = await database.fetchval("SELECT tableoid::regclass::text FROM geo.check_ins")
    assert where == "geo.check_ins_p_202802"
    assert await run(maintenance, "partitions") == 0


async def test_a_month_nobody_prepared_loses_no_check_in(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    clock: Moved,
    database: "asyncpg.Connection[Any]",
) -> None:
    clock.now = datetime(2031, 5, 1, tzinfo=UTC)
    answer = await geo.post(PATH, json=sent_at(clock.now), headers=server)
    assert answer.status_code == 201
    where = await database.fetchval("SELECT tableoid::regclass::text FROM geo.check_ins")
    assert where == "geo.check_ins_p_default"


async def test_a_silent_visit_expires_provisionally_and_a_later_fix_reopens_it(
    geo: httpx.AsyncClient, server: dict[str, str], clock: Moved, maintenance: Maintenance
) -> None:
    who = person("a")
    await geo.post(PATH, json=sent_at(START, subject=who), headers=server)
    [entered] = await state_of(geo, server, "open")
    clock.now = START + timedelta(minutes=30)
    assert await run(maintenance, "expire_visits") == 0
    clock.now = START + timedelta(minutes=30, microseconds=1)
    assert await run(maintenance, "expire_visits") == 1
    [expired] = await state_of(geo, server, "expired")
    assert (expired["id"], expired["closed_by"]) == (entered["id"], "silence")
    assert expired["left_at"] == entered["entered_at"]
    late = sent_at(START + timedelta(minutes=29), subject=who)
    answer = (await geo.post(PATH, json=late, headers=server)).json()
    assert [(v["id"], v["state"]) for v in answer["visits"]] == [(entered["id"], "open")]
    assert await state_of(geo, server, "expired") == []


async def test_a_fix_after_the_gap_makes_the_silent_end_final_and_a_new_visit(
    geo: httpx.AsyncClient, server: dict[str, str], clock: Moved, maintenance: Maintenance
) -> None:
    who = person("a")
    await geo.post(PATH, json=sent_at(START, subject=who), headers=server)
    clock.now = START + timedelta(hours=1)
    assert await run(maintenance, "expire_visits") == 1
    await geo.post(PATH, json=sent_at(clock.now, subject=who), headers=server)
    [ended] = await state_of(geo, server, "expired")
    assert ended["closed_by"] == "gap"
    assert len(await state_of(geo, server, "open")) == 1


async def test_a_device_that_sends_old_fixes_just_now_is_not_silent(
    geo: httpx.AsyncClient, server: dict[str, str], clock: Moved, maintenance: Maintenance
) -> None:
    clock.now = START + timedelta(hours=2)
    await geo.post(PATH, json=sent_at(START), headers=server)
    assert await run(maintenance, "expire_visits") == 0
    clock.now += timedelta(minutes=31)
    assert await run(maintenance, "expire_visits") == 1


async def test_devices_that_are_not_silent_do_not_keep_others_from_expiring(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever stays in doubt near a store keeps an old visit open as long as it sends fixes."""
    monkeypatch.setattr("services.geo_api.checkins.maintenance._BATCH", 2)
    doubtful = [person(f"doubtful {n}") for n in range(4)]
    for who in [*doubtful, person("silent")]:
        await geo.post(PATH, json=sent_at(START, subject=who), headers=server)
    for minutes in (20, 40):
        clock.now = START + timedelta(minutes=minutes)
        for who in doubtful:
            near = sent_at(clock.now, subject=who, latitude=north(115))
            assert (await geo.post(PATH, json=near, headers=server)).json()["visits"] == []
    assert await run(maintenance, "expire_visits") == 1
    assert len(await state_of(geo, server, "open")) == 4


async def test_closings_that_were_gone_through_are_forgotten_after_90_days(
    database: "asyncpg.Connection[Any]", maintenance: Maintenance, clock: Moved
) -> None:
    long_ago = START - timedelta(days=90, seconds=1)
    closings = [("old", long_ago, True), ("not yet", long_ago, False), ("of late", START, True)]
    await database.executemany(
        "INSERT INTO geo.closings (store_id, at, closed_by, settled) VALUES ($1, $2, 'store_closed', $3)",
        closings,
    )
    assert await run(maintenance, "closings") == 1
    left = await database.fetch("SELECT store_id FROM geo.closings ORDER BY 1")
    assert [row["store_id"] for row in left] == ["not yet", "of late"]


async def test_one_process_does_a_job_at_a_time(
    geo_app: FastAPI, maintenance: Maintenance, database: "asyncpg.Connection[Any]"
) -> None:
    await run(maintenance, "cells")
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock(hashtext('solomo cells'))")
        assert await maintenance.run("cells") is None
    assert await run(maintenance, "cells") == 0


async def test_long_after_a_repeat_under_a_recorded_consent_is_still_a_repeat(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    clock: Moved,
    maintenance: Maintenance,
    installation_keys: Path,
) -> None:
    voice = MemberVoice(geo, installation_keys)
    granted = consent("granted", START - timedelta(days=1))
    await voice.tell(facts(subject_of(geo_app, "a"), **granted))
    sent = body(subject=person("a"), consent=None, occurred_at=START.isoformat())
    assert (await geo.post(PATH, json=sent, headers=server)).status_code == 201
    clock.now = START + timedelta(days=30)
    await run(maintenance, "retention")
    assert (await geo.post(PATH, json=sent, headers=server)).status_code == 200


async def test_a_members_repeat_is_answered_though_it_would_be_too_late_by_now(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    tokens: Tokens,
    installation_keys: Path,
    clock: Moved,
) -> None:
    """Neither the 72 hours nor the end of a consent receipt turn a repeat into bad input."""
    who = uuid4()
    headers = tokens("member", subject_id=who)
    claims = ConsentReceipt(sub=who, purpose=Purpose.VISIT_HISTORY, version="1", given_at=START)
    signing = load_signing_key(installation_keys / "member")
    brief = mint(signing, claims.model_dump(mode="json"), -29)  # the skew allowed is 30 s
    sent = sent_at(START, consent_receipt=brief)
    del sent["subject"], sent["consent"]
    first = await geo.post(PATH, json=sent, headers=headers)
    assert first.status_code == 201, first.text
    clock.now = START + timedelta(hours=72, seconds=1)
    await asyncio.sleep(2)
    repeat = await geo.post(PATH, json=sent, headers=headers)
    assert (repeat.status_code, repeat.content) == (200, first.content)
    for pointer, changes in (("/occurred_at", {"consent_receipt": None}), ("/consent_receipt", {})):
        another = {**sent, "id": str(uuid4()), **changes}
        refused = await geo.post(PATH, json=another, headers=headers)
        batch = await geo.post(f"{PATH}/batch", json=[another], headers=headers)
        for problem in (refused.json(), batch.json()):
            assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
        assert refused.status_code == 422

"""Messages are planned for whom an account knows that writes to people, once, and at no cost else."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from services.geo_api.offers.domain import GrantedCoupon
from services.geo_api.outreach.repository import waking
from services.geo_api.outreach.service import NOBODY, Won, Writers, outreach_id, planning
from services.geo_api.subjects.repository import lock
from services.geo_api.wechat.users.domain import SeenUser
from services.geo_api.wechat.users.repository import UserRows
from shared.db import Database
from shared.direct import Statement, run_together
from shared.identity import Identity, Namespace
from shared.sealing import StorageKey
from tests.conftest import DatabaseUrls

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WRITERS = Writers(("mini",), frozenset({"wx1"}))


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> Any:
    database = Database.connect(database_urls.geo, pool_size=4)
    yield database
    await database.close()


def won(subject_id: UUID, identity: Identity | None = None) -> Won:
    coupon = GrantedCoupon(
        coupon_id=uuid4(),
        offer_id="o1",
        offer_version=1,
        store_id="s1",
        visit_id=None,
        check_in_id=uuid4(),
        title="5 off",
        code="ABCD",
        benefit={},
        valid_until=NOON + timedelta(days=1),
        granted_at=NOON,
    )
    return Won(subject_id, identity, coupon)


async def know(database: Database, *subjects: UUID, at: str = "mini") -> None:
    """One person of these subjects, the last of which the account knows."""
    async with database.begin() as connection:
        await lock(connection, subjects, NOON)
        await connection.execute(
            text("UPDATE geo.subjects SET siblings = :kin WHERE subject_id = ANY(:kin)"),
            {"kin": [*subjects]},
        )
        rows = UserRows(StorageKey(bytes(range(32))))
        seen = SeenUser(subjects[-1], at, "oSLM_1", NOON)
        await run_together(connection, rows.seeing([seen]))


async def planned(database: Database, statements: list[Statement]) -> list[UUID]:
    async with database.begin() as connection:
        await run_together(connection, statements)
        query = text("SELECT outreach_id FROM geo.outreach_messages ORDER BY outreach_id")
        return [*await connection.scalars(query)]


def test_nothing_is_asked_where_nothing_was_won_and_nothing_run_where_nobody_writes() -> None:
    def unasked() -> Writers:
        raise AssertionError("there was nothing to tell")

    assert planning(unasked, []) == []
    assert planning(lambda: NOBODY, [won(uuid4())]) == []


async def test_a_coupon_is_planned_once_for_whom_an_account_knows_or_a_sibling_of_whom(
    database: Database,
) -> None:
    known, app_user, sibling, elsewhere = uuid4(), uuid4(), uuid4(), uuid4()
    await know(database, known)
    await know(database, app_user, sibling)
    await know(database, elsewhere, at="another")
    each = [won(known), won(app_user), won(elsewhere), won(uuid4())]
    expected = sorted(outreach_id("coupon_granted", one.coupon.coupon_id) for one in each[:2])
    for _ in range(2):
        assert await planned(database, planning(lambda: WRITERS, each)) == expected


async def test_whoever_comes_by_an_id_of_the_account_is_known_before_it_is_noted(
    database: Database,
) -> None:
    """The first that an account hears of somebody may be the location that wins the coupon."""
    own = won(uuid4(), Identity(Namespace.WECHAT_OPENID, "wx1", "oSLM_1"))
    strange = won(uuid4(), Identity(Namespace.WECHAT_OPENID, "wx2", "oSLM_1"))
    other = won(uuid4(), Identity(Namespace.APP_USER, "wx1", "oSLM_1"))
    statements = planning(lambda: WRITERS, [own, strange, other])
    expected = [outreach_id("coupon_granted", own.coupon.coupon_id)]
    assert await planned(database, statements) == expected


async def test_what_opens_for_a_subject_wakes_what_waits_for_its_siblings_alone(
    database: Database,
) -> None:
    winner, sibling, stranger = uuid4(), uuid4(), uuid4()
    await know(database, winner, sibling)
    await know(database, stranger)
    await planned(database, planning(lambda: WRITERS, [won(winner), won(stranger)]))
    async with database.begin() as connection:
        later = {"later": NOON + timedelta(days=1)}
        await connection.execute(text("UPDATE geo.outreach_messages SET due_at = :later"), later)
        await run_together(connection, waking([sibling], NOON))
        query = text("SELECT subject_id FROM geo.outreach_messages WHERE due_at = :now")
        assert [*await connection.scalars(query, {"now": NOON})] == [winner]
    assert waking([], NOON) == []

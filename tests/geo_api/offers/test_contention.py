"""Many processes' worth of grants at once, each in its own committed transaction.

The last two tests take both walls away, guard and constraint, and show that the same race then
gives too much away: so the race is real, and it is the walls that hold it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import TextClause, text

from services.geo_api.offers.domain import OfferBook
from services.geo_api.offers.lifecycle import Verb
from services.geo_api.offers.repository import grants as repository
from services.geo_api.offers.service import keeping
from shared.db import Database
from tests.conftest import DatabaseUrls
from tests.geo_api.offers.helpers import (
    CONTEXT,
    NOW,
    book_of,
    come,
    grant_all,
    minutes,
    presence,
    reasons,
    situation,
    store_offer,
)

CROWD = 64
UNITS = 10


async def rush(database: Database, book: OfferBook) -> Counter[str | None]:
    """``CROWD`` different people at once; the reasons that they were given."""
    start = asyncio.Event()

    async def one() -> str | None:
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))
            await start.wait()
            (granted,) = await grant_all(connection, book, [situation()], CONTEXT)
            return granted.decisions[0].reason

    tasks = [asyncio.create_task(one()) for _ in range(CROWD)]
    await asyncio.sleep(0.5)
    start.set()
    return Counter(await asyncio.gather(*tasks))


async def issued(database: Database) -> tuple[int, int, int]:
    """Units the counter says, coupons there are, codes there are."""
    async with database.begin() as connection:
        return (
            await connection.scalar(text("SELECT used FROM geo.offer_counters")) or 0,
            await connection.scalar(text("SELECT count(*) FROM geo.coupons")) or 0,
            await connection.scalar(text("SELECT count(*) FROM geo.coupon_codes")) or 0,
        )


@pytest.fixture
async def many(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The test's database, by as many connections at once as there are people."""
    database = Database.connect(database_urls.geo, pool_size=CROWD)
    yield database
    await database.close()


async def test_of_a_crowd_exactly_as_many_are_granted_as_units_are_left(many: Database) -> None:
    await store_offer(many, caps={"total": 100})
    await come(many, *(situation() for _ in range(100 - UNITS)))

    told = await rush(many, await book_of(many))

    assert told == {None: UNITS, "stock_out": CROWD - UNITS}
    assert await issued(many) == (100, 100, 100)


async def test_groups_that_want_several_offers_never_wait_for_each_other_in_a_ring(
    many: Database,
) -> None:
    for n in range(6):
        await store_offer(many, f"o{n}", caps={"total": 50})
    book = await book_of(many)
    backwards = OfferBook(1, book.offers[::-1])

    async def group(n: int) -> int:
        crowd = [situation(presence(store_id=f"s{k}")) for k in range(4)]
        granted = await come(many, *crowd, book=book if n % 2 else backwards)
        return sum(len(one.coupons) for one in granted)

    won = await asyncio.gather(*(group(n) for n in range(40)))

    assert sum(won) == 6 * 50


async def test_an_offer_paused_in_the_midst_of_a_rush_grants_nothing_after_it(
    many: Database,
) -> None:
    await store_offer(many, caps={"total": 1000})
    book = await book_of(many)

    async def pause() -> tuple[int, int, int]:
        await asyncio.sleep(0.55)
        async with many.begin() as connection:
            await keeping.move(connection, "o1", Verb.PAUSE, NOW)
        return await issued(many)

    told, at_the_pause = await asyncio.gather(rush(many, book), pause())

    assert await issued(many) == at_the_pause
    assert told[None] == at_the_pause[0]


async def test_a_visit_granted_by_two_transactions_at_once_fails_on_the_second_wall(
    many: Database,
) -> None:
    """Without the lock on the subject, which the caller holds, the unique key still stands."""
    await store_offer(many)
    book = await book_of(many)
    place = presence()
    twins = [
        situation(place, subject_id=CONTEXT.new_id(), occurred_at=NOW + minutes(n)) for n in (0, 1)
    ]
    twins[1] = situation(place, subject_id=twins[0].subject_id, occurred_at=NOW + minutes(1))

    answers = await asyncio.gather(
        *(come(many, twin, book=book) for twin in twins), return_exceptions=True
    )

    won = [a for a in answers if not isinstance(a, BaseException) and reasons(a) == [None]]
    assert len(won) == 1
    assert await issued(many) == (1, 1, 1)


def without_guard(statement: TextClause) -> TextClause:
    """Units are taken by what was read before the lock: the order check, lock, add."""
    replaced = [
        ("LEAST(EXCLUDED.taken, c.cap - c.used)", "EXCLUDED.taken"),
        ("AND (c.cap IS NULL OR c.used < c.cap)\n        RETURNING", "RETURNING"),
    ]
    sql = statement.text
    for guarded, bare in replaced:
        assert guarded in sql
        sql = sql.replace(guarded, bare)
    return text(sql)


async def drop_the_second_wall(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(
            text("ALTER TABLE geo.offer_counters DROP CONSTRAINT ck_offer_counters_cap_holds")
        )


@pytest.mark.slow
async def test_the_same_rush_gives_too_much_away_when_guard_and_constraint_are_gone(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_offer(many, caps={"total": UNITS})
    monkeypatch.setattr(repository, "_TAKE", without_guard(repository._TAKE))
    await drop_the_second_wall(many)

    told = await rush(many, await book_of(many))

    assert told[None] > UNITS
    assert (await issued(many))[1] > UNITS


@pytest.mark.slow
async def test_the_constraint_alone_still_holds_the_cap(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It aborts instead of refusing, which is why it is the second wall and not the first."""
    await store_offer(many, caps={"total": UNITS})
    monkeypatch.setattr(repository, "_TAKE", without_guard(repository._TAKE))
    book = await book_of(many)

    answers = await asyncio.gather(
        *(come(many, situation(), book=book) for _ in range(CROWD)), return_exceptions=True
    )

    won = [a for a in answers if not isinstance(a, BaseException) and reasons(a) == [None]]
    assert len(won) == UNITS
    assert await issued(many) == (UNITS, UNITS, UNITS)

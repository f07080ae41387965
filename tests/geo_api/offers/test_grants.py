"""Granting on the real database: what is written, what counts, and by how many statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from services.geo_api.offers.codes import code_hash, lookup_key
from services.geo_api.offers.domain import OfferBook, Reason, Situation
from services.geo_api.offers.lifecycle import CapBelowUsed, Verb
from services.geo_api.offers.service import coupons, keeping
from services.geo_api.presence import repository as visits
from services.geo_api.presence.domain import ClosedBy, Visit, VisitState, closed
from shared.contracts.events import Lifecycle
from shared.db import Database
from shared.direct import run_together
from tests.geo_api.offers.helpers import (
    CONTEXT,
    NOW,
    STORAGE,
    book_of,
    come,
    grant_all,
    minutes,
    presence,
    reasons,
    same_person,
    situation,
    store_offer,
)

pytestmark = pytest.mark.slow


async def scalar(database: Database, statement: str, **values: Any) -> Any:
    async with database.begin() as connection:
        return await connection.scalar(text(statement), values)


async def remember_visit(database: Database, seen: Situation, *, left: bool = False) -> Visit:
    """The visit of a check-in, as it stands in the database once its group is committed."""
    place = seen.presences[0]
    assert place.visit_id is not None
    visit = Visit(
        subject_id=seen.subject_id,
        visit_id=place.visit_id,
        store_id=place.store_id,
        state=VisitState.OPEN,
        entered_at=seen.occurred_at,
        last_inside_at=seen.occurred_at,
        left_at=None,
        closed_by=None,
        provisional=False,
        revision=1,
        last_received_at=seen.received_at,
    )
    visit = closed(visit, ClosedBy.LEFT) if left else visit
    async with database.begin() as connection:
        await run_together(connection, visits.beginning([visit]))
    return visit


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_grant_is_a_coupon_with_a_code_that_finds_it(database: Database) -> None:
    await store_offer(database)
    seen = situation()

    (granted,) = await come(database, seen)

    (shown,) = granted.coupons
    async with database.begin() as connection:
        found = await coupons.find_by_code(connection, STORAGE, shown.code.lower())
    assert found is not None
    assert (found.coupon_id, found.subject_id) == (shown.coupon_id, seen.subject_id)
    assert coupons.show(found, STORAGE, NOW).code == shown.code
    assert found.valid_from == NOW
    assert found.valid_until == shown.valid_until == NOW + timedelta(days=1)
    stored = await scalar(database, "SELECT code_hash FROM geo.coupon_codes")
    assert stored == code_hash(lookup_key(STORAGE), shown.code)
    assert shown.code.encode() not in found.code
    assert granted.decisions[0].granted


async def test_the_last_units_go_to_those_who_came_first(database: Database) -> None:
    await store_offer(database, caps={"total": 3})
    crowd = [situation(occurred_at=NOW - minutes(n)) for n in range(5)]

    granted = await come(database, *crowd)

    assert reasons(granted) == [Reason.STOCK_OUT, Reason.STOCK_OUT, None, None, None]
    assert [len(one.coupons) for one in granted] == [0, 0, 1, 1, 1]
    assert await scalar(database, "SELECT used FROM geo.offer_counters") == 3
    assert await scalar(database, "SELECT count(*) FROM geo.coupons") == 3


async def test_a_visit_is_granted_once_over_several_groups(database: Database) -> None:
    await store_offer(database)
    first = situation()
    again = situation(
        first.presences[0]._replace(entered=False),
        subject_id=first.subject_id,
        occurred_at=NOW + minutes(5),
    )

    granted = await come(database, first)
    await remember_visit(database, first)
    granted += await come(database, again)

    assert reasons(granted) == [None, Reason.ALREADY_GRANTED]


async def test_visits_joined_under_another_id_stay_one_visit(database: Database) -> None:
    """A late fix joined two visits, and the coupon hangs on the id that is no more."""
    await store_offer(database)
    first = situation()
    await come(database, first)
    joined = situation(
        presence(entered=False), subject_id=first.subject_id, occurred_at=NOW - minutes(5)
    )
    await remember_visit(database, joined)

    later = joined._replace(check_in_id=uuid4(), occurred_at=NOW + minutes(5))
    granted = await come(database, later._replace(received_at=NOW + minutes(5)))

    assert reasons(granted) == [Reason.ALREADY_GRANTED]


async def test_siblings_in_one_store_at_once_are_granted_once(database: Database) -> None:
    await store_offer(database)
    me, other = uuid4(), uuid4()
    kin = same_person(me, other)
    mine = situation(subject_id=me, **kin)
    together = situation(subject_id=other, occurred_at=NOW + minutes(3), **kin)
    hours_later = situation(subject_id=other, occurred_at=NOW + timedelta(hours=3), **kin)

    granted = await come(database, mine)
    await remember_visit(database, mine)
    granted += await come(database, together, hours_later)

    assert reasons(granted) == [None, Reason.ALREADY_GRANTED, None]


async def test_siblings_in_one_group_are_granted_once(database: Database) -> None:
    await store_offer(database)
    me, other = uuid4(), uuid4()
    kin = same_person(me, other)
    there = situation(subject_id=me, occurred_at=NOW - minutes(9), **kin)
    await come(database, there)
    await remember_visit(database, there)
    stays = situation(there.presences[0]._replace(entered=False), subject_id=me, **kin)
    joins = situation(subject_id=other, **kin)

    granted = await come(database, stays, joins)

    assert reasons(granted) == [Reason.ALREADY_GRANTED, Reason.ALREADY_GRANTED]


async def test_a_persons_cap_counts_what_its_siblings_hold(database: Database) -> None:
    await store_offer(database, caps={"per_person": 2})
    me, other = uuid4(), uuid4()
    kin = same_person(me, other)
    crowd = [
        situation(presence(store_id=f"s{n}"), subject_id=who, occurred_at=NOW + minutes(n), **kin)
        for n, who in enumerate((me, other, me))
    ]

    granted = await come(database, crowd[0])
    granted += await come(database, *crowd[1:])

    assert reasons(granted) == [None, None, Reason.MEMBER_LIMIT]


async def test_a_first_visit_is_asked_of_all_siblings(database: Database) -> None:
    await store_offer(database, trigger={"type": "first_visit"}, caps={})
    me, other = uuid4(), uuid4()
    kin = same_person(me, other)
    long_ago = situation(subject_id=other, occurred_at=NOW - timedelta(days=30), **kin)
    await remember_visit(database, long_ago, left=True)

    here = situation(subject_id=me, **kin)
    elsewhere = situation(presence(store_id="s2"), subject_id=me, **kin)
    granted = await come(database, here, elsewhere, situation())

    assert reasons(granted) == [Reason.TRIGGER_NOT_MET, None, None]


async def test_the_second_visit_of_a_group_is_not_the_first(database: Database) -> None:
    await store_offer(database, trigger={"type": "first_visit"})
    first = situation()
    second = situation(subject_id=first.subject_id, occurred_at=NOW + minutes(2))

    granted = await come(database, first, second)

    assert reasons(granted) == [None, Reason.TRIGGER_NOT_MET]


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.END])
async def test_an_offer_that_stopped_grants_nothing_from_a_stale_book(
    database: Database, verb: Verb
) -> None:
    await store_offer(database)
    stale = await book_of(database)
    async with database.begin() as connection:
        await keeping.move(connection, "o1", verb, NOW)

    granted = await come(database, situation(), book=stale)

    assert reasons(granted) == [Reason.NOT_ACTIVE]
    assert await scalar(database, "SELECT used FROM geo.offer_counters") == 0


async def test_a_version_that_was_replaced_grants_nothing(database: Database) -> None:
    await store_offer(database)
    stale = await book_of(database)
    await store_offer(database, title="6 off")

    assert reasons(await come(database, situation(), book=stale)) == [Reason.NOT_ACTIVE]
    (granted,) = await come(database, situation())
    assert [(c.title, c.offer_version) for c in granted.coupons] == [("6 off", 2)]


async def test_all_versions_count_under_one_cap_that_never_falls_below_what_is_used(
    database: Database,
) -> None:
    await store_offer(database, caps={"total": 5})
    await come(database, *(situation() for _ in range(4)))

    with pytest.raises(CapBelowUsed, match="4 coupons"):
        await store_offer(database, caps={"total": 3})
    await store_offer(database, caps={"total": 4})

    assert reasons(await come(database, situation())) == [Reason.STOCK_OUT]


async def test_statements_are_constant_however_many_check_ins(database: Database) -> None:
    for n in range(3):
        await store_offer(database, f"o{n}", caps={"total": 1000})
    book = await book_of(database)
    counts = []
    for size in (1, 40):
        with counted_statements(database) as statements:
            await come(database, *(situation() for _ in range(size)), book=book)
        counts.append(len(statements))

    assert counts == [5, 5]


async def test_no_statement_is_made_where_no_offer_can_be_granted(database: Database) -> None:
    await store_offer(database, stores={"ids": ["s2"]})
    await store_offer(database, "o2")
    book = await book_of(database)
    hopeless = situation(marketing_refused=True)

    with counted_statements(database) as statements:
        granted = await come(database, hopeless, book=book)
        nothing = await come(database, situation(), book=OfferBook(1, ()))

    assert statements == []
    assert [d.reason for d in granted[0].decisions] == [Reason.NO_MARKETING_CONSENT]
    assert nothing[0].decisions == []


async def test_a_group_that_fails_later_takes_its_units_back(database: Database) -> None:
    """Counter, coupon and code stand in the transaction of the check-in, or none of them."""
    await store_offer(database)
    book = await book_of(database)

    async def die_in_between() -> None:
        async with database.begin() as connection:
            await grant_all(connection, book, [situation()], CONTEXT)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await die_in_between()

    assert await scalar(database, "SELECT used FROM geo.offer_counters") == 0
    assert await scalar(database, "SELECT count(*) FROM geo.coupons") == 0
    assert await scalar(database, "SELECT count(*) FROM geo.coupon_codes") == 0


async def test_the_evidence_of_a_grant_holds_the_fence_and_no_coordinates(
    database: Database,
) -> None:
    await store_offer(database)
    await come(database, situation(kind="background", lifecycle=Lifecycle.MEMBER))

    evidence = await scalar(database, "SELECT evidence FROM geo.coupons")

    assert evidence == {
        "geofence_id": "f1",
        "geofence_version": 1,
        "confidence": 3,
        "kind": "background",
        "evidence": "gps",
        "trust": 100,
        "received_at": NOW.isoformat(),
    }

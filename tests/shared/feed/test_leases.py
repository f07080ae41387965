import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from shared.db import Database
from shared.feed.leases import Leases, plan_leases
from shared.feed.tables import BUCKETS
from tests.shared.feed.deliverer import GEO_FEED

buckets = st.sets(st.integers(min_value=0, max_value=BUCKETS - 1))
deliverers = st.integers(min_value=1, max_value=100)


@given(buckets, buckets, deliverers, buckets)
def test_a_plan_takes_only_what_is_free_and_never_more_than_the_share(
    held: set[int], free: set[int], living: int, in_use: set[int]
) -> None:
    plan = plan_leases(held, free - held, living, in_use)
    assert plan.serve <= held | free
    assert len(plan.serve) <= -(-BUCKETS // living)


@given(buckets, buckets, deliverers, buckets)
def test_a_plan_releases_only_what_is_held_and_not_in_use(
    held: set[int], free: set[int], living: int, in_use: set[int]
) -> None:
    plan = plan_leases(held, free - held, living, in_use)
    assert plan.release <= held - in_use - plan.serve
    assert held - plan.serve - plan.release <= in_use


@given(st.integers(min_value=1, max_value=12))
def test_deliverers_that_beat_in_turn_come_to_equal_shares(living: int) -> None:
    held: list[frozenset[int]] = [frozenset()] * living
    serving = list(held)
    for _ in range(4):
        for me in range(living):
            free = set(range(BUCKETS)).difference(*held)
            plan = plan_leases(held[me], free, living, serving[me])
            held[me] = (held[me] | plan.serve) - plan.release
            serving[me] = plan.serve
    assert sorted(bucket for mine in serving for bucket in mine) == list(range(BUCKETS))
    assert max(map(len, serving)) <= -(-BUCKETS // living)


async def beat(*leases: Leases) -> None:
    for one in leases:
        await one.beat(frozenset())


async def holders(database: Database) -> Counter[object]:
    table = GEO_FEED.outbox_leases
    async with database.begin() as connection:
        return Counter((await connection.execute(select(table.c.holder))).scalars())


async def test_the_first_takes_all_and_shares_with_those_who_come(database: Database) -> None:
    one, two, three = (Leases(database, GEO_FEED) for _ in range(3))
    await beat(one)
    assert one.serving() == frozenset(range(BUCKETS))
    for _ in range(3):
        await beat(one, two, three)
    assert [len(leases.serving()) for leases in (one, two, three)] == [22, 22, 20]
    assert one.serving() | two.serving() | three.serving() == frozenset(range(BUCKETS))


async def test_a_bucket_of_a_batch_under_way_is_kept_until_that_has_ended(
    database: Database,
) -> None:
    one, two = Leases(database, GEO_FEED), Leases(database, GEO_FEED)
    under_way = frozenset(range(BUCKETS))
    await one.beat(frozenset())
    for _ in range(3):
        await two.beat(frozenset())
        await one.beat(under_way)
    assert two.serving() == frozenset()
    await beat(one, two)
    assert len(two.serving()) == BUCKETS // 2


async def test_no_bucket_is_ever_served_by_two(database: Database) -> None:
    everybody = [Leases(database, GEO_FEED) for _ in range(4)]

    async def go_on(mine: Leases) -> None:
        for _ in range(10):
            await mine.beat(frozenset())
            served = Counter(bucket for one in everybody for bucket in one.serving())
            assert max(served.values()) == 1

    await asyncio.gather(*map(go_on, everybody))


async def test_the_leases_of_a_dead_deliverer_are_taken_over_when_they_end(
    database: Database,
) -> None:
    dead, heir = Leases(database, GEO_FEED, lease_s=0.6), Leases(database, GEO_FEED, lease_s=0.6)
    await beat(dead)
    await beat(heir)
    assert heir.serving() == frozenset()
    await asyncio.sleep(0.65)
    assert dead.serving() == frozenset()
    await beat(heir)
    assert heir.serving() == frozenset(range(BUCKETS))


async def test_who_leaves_is_followed_at_once(database: Database) -> None:
    leaver, heir = Leases(database, GEO_FEED), Leases(database, GEO_FEED)
    await beat(leaver)
    await leaver.leave()
    assert leaver.serving() == frozenset()
    await beat(heir)
    assert heir.serving() == frozenset(range(BUCKETS))
    assert await holders(database) == {heir.holder: BUCKETS}

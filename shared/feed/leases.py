"""Who drains which bucket: each bucket has one deliverer, and all have about as many."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, SmallInteger, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import Database
from shared.feed.drain import relax
from shared.feed.tables import BUCKETS, FeedTables

LEASE_S = 10.0
"""A deliverer that is killed keeps its buckets from the others for so long."""

_SAFE_SHARE = 0.8
"""No batch is begun in the last part of a lease that could not be renewed."""


@dataclass(frozen=True, slots=True)
class LeasePlan:
    """``serve`` are the buckets to drain from now on, ``release`` those to give up at once."""

    serve: frozenset[int]
    release: frozenset[int]


def plan_leases(
    held: Collection[int], free: Collection[int], deliverers: int, in_use: Collection[int]
) -> LeasePlan:
    """Take or give up buckets so that ``deliverers`` living ones (from 1) have equal shares.

    A bucket too many that is ``in_use`` (served until now, or part of a batch under way) is kept
    but no longer served; it is released once that batch has ended, so that no two deliverers
    tell the same event.
    """
    share = ceil(BUCKETS / deliverers)
    kept = sorted(held, key=lambda bucket: (bucket not in in_use, bucket))[:share]
    taken = sorted(free)[: share - len(kept)]
    serve = frozenset(kept) | frozenset(taken)
    return LeasePlan(serve, frozenset(held) - serve - frozenset(in_use))


class Leases:
    """This deliverer's leases; call ``beat`` several times in ``lease_s`` seconds."""

    def __init__(self, database: Database, tables: FeedTables, *, lease_s: float = LEASE_S) -> None:
        self.holder: UUID = uuid4()
        self._database = database
        self._tables = tables
        self._lease_s = lease_s
        self._serving: frozenset[int] = frozenset()
        self._safe_until = -inf
        self._is_founded = False

    def serving(self) -> frozenset[int]:
        """The buckets of which a batch may be begun now."""
        return self._serving if time.monotonic() < self._safe_until else frozenset()

    async def _found(self) -> None:
        """Make the rows of the buckets where a migration has not."""
        leases = self._tables.outbox_leases
        buckets = select(cast(func.generate_series(0, BUCKETS - 1), SmallInteger))
        async with self._database.begin() as connection:
            await connection.execute(
                insert(leases).from_select(["bucket"], buckets).on_conflict_do_nothing()
            )

    async def beat(self, busy: Collection[int]) -> None:
        """Renew, take and release; ``busy`` are the buckets of batches under way."""
        if not self._is_founded:
            await self._found()
            self._is_founded = True
        begun_at = time.monotonic()
        in_use = self.serving() | frozenset(busy)
        async with self._database.begin() as connection:
            await relax(connection)
            leases = await self._lock(connection)
            held = [bucket for bucket, holder in leases.items() if holder == self.holder]
            free = [bucket for bucket, holder in leases.items() if holder is None]
            plan = plan_leases(held, free, await self._count_deliverers(connection), in_use)
            await self._write(connection, plan, held)
        self._serving = plan.serve
        self._safe_until = begun_at + self._lease_s * _SAFE_SHARE

    async def leave(self) -> None:
        """Give up everything, so that the others need not wait for the end of the lease."""
        self._safe_until = -inf
        leases, deliverers = self._tables.outbox_leases, self._tables.outbox_deliverers
        async with self._database.begin() as connection:
            await self._lock(connection)
            await connection.execute(
                update(leases)
                .where(leases.c.holder == self.holder)
                .values(holder=None, expires_at=None)
            )
            await connection.execute(delete(deliverers).where(deliverers.c.holder == self.holder))

    async def _lock(self, connection: AsyncConnection) -> Mapping[int, UUID | None]:
        """Living holders by bucket. The locks, taken in order, make beats wait for each other."""
        leases = self._tables.outbox_leases
        rows = await connection.execute(
            select(leases.c.bucket, leases.c.holder, leases.c.expires_at > func.clock_timestamp())
            .order_by(leases.c.bucket)
            .with_for_update()
        )
        return {bucket: holder if is_alive else None for bucket, holder, is_alive in rows}

    async def _count_deliverers(self, connection: AsyncConnection) -> int:
        """How many live, this one included, which hereby says that it does."""
        table, now = self._tables.outbox_deliverers, func.statement_timestamp()
        await connection.execute(delete(table).where(table.c.expires_at <= now))
        me = insert(table).values(holder=self.holder, expires_at=self._end())
        await connection.execute(
            me.on_conflict_do_update(
                index_elements=[table.c.holder], set_={"expires_at": me.excluded.expires_at}
            )
        )
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()

    async def _write(
        self, connection: AsyncConnection, plan: LeasePlan, held: Collection[int]
    ) -> None:
        leases = self._tables.outbox_leases
        renewed = (plan.serve | frozenset(held)) - plan.release
        for buckets, holder, end in (
            (renewed, self.holder, self._end()),
            (plan.release, None, None),
        ):
            if buckets:
                await connection.execute(
                    update(leases)
                    .where(leases.c.bucket.in_(sorted(buckets)))
                    .values(holder=holder, expires_at=end)
                )

    def _end(self) -> ColumnElement[datetime]:
        return func.clock_timestamp() + timedelta(seconds=self._lease_s)

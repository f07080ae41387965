"""What has to happen by time alone: silent visits, retention, partitions, old keys.

Every process runs every job; an advisory lock lets one of them do it at a time. Each run is noted
in ``maintenance_runs``, and how often it has failed since it ended well, so that an operator and
``/metrics`` see a job that does not run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from prometheus_client import Gauge
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.repository import Receipt
from services.geo_api.checkins.service.outcome import Tools
from services.geo_api.checkins.service.receipts import bare, opened, reduced
from services.geo_api.checkins.service.settling import settle_closings
from services.geo_api.places.domain import VisitsEnd
from services.geo_api.places.service.lifecycle import end_visits_by_time
from services.geo_api.presence import closing_rows
from services.geo_api.presence.domain import ClosedBy
from services.geo_api.presence.service import close_visits_of_store, expire_silent_visits
from services.geo_api.tables import IDEMPOTENCY
from services.geo_api.trust.repository import prune
from shared.clock import Clock
from shared.db import Database

EXACT_FOR = timedelta(days=7)
"""So long exact coordinates, distances and decisions live, from ``received_at``."""

CELL_FOR = timedelta(days=90)
"""So long the coarse cell lives."""

MONTHS_AHEAD = 2

MOST_FAILURES = 32_767
"""Counting ends there; the column holds no more."""

_BATCH = 500
"""Rows that one transaction of a job changes; while as many were changed, it goes on at once."""

_log = structlog.get_logger(__name__)
_last_run = Gauge(
    "solomo_maintenance_last_run_timestamp_seconds",
    "When a periodic job last ended well in this process",
    ["job"],
    multiprocess_mode="max",
)

_failures = Gauge(
    "solomo_maintenance_failures",
    "How often a periodic job has failed in this process since it last ended well",
    ["job"],
    multiprocess_mode="livemax",
)

Job = Callable[[AsyncConnection, datetime], Awaitable[int]]
"""Does one batch of a job in a transaction; gives the rows changed."""

_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('solomo ' || :job))")

_NOTE = text("""
    INSERT INTO geo.maintenance_runs AS r (job, ran_at, changed, failures)
    VALUES (:job, :now, :changed, 0)
    ON CONFLICT (job) DO UPDATE SET ran_at = EXCLUDED.ran_at, changed = EXCLUDED.changed,
        failures = CASE WHEN CAST(:ended AS boolean) THEN 0 ELSE r.failures END
""")

_NOTE_FAILURE = text(f"""
    INSERT INTO geo.maintenance_runs AS r (job, ran_at, changed, failures)
    VALUES (:job, NULL, 0, 1)
    ON CONFLICT (job) DO UPDATE SET failures = least(r.failures + 1, {MOST_FAILURES})
""")

_DESTROY_KEYS = text("""
    UPDATE geo.day_keys SET wrapped_key = NULL, destroyed_at = :now
    WHERE day < CAST(:horizon AS date) AND wrapped_key IS NOT NULL
""")

_OLD_RECEIPTS = text("""
    SELECT subject_id, check_in_id, request_hash, received_at, answer, reduced
    FROM geo.check_in_receipts
    WHERE received_at < :horizon AND reduced IS NULL
    ORDER BY received_at LIMIT :most
""")

# The hash of the request goes too: from it and the rest of the row the coordinates could be
# guessed. A receipt and its check-in were received at one moment, and are reduced together.
_REDUCE = text("""
    WITH old AS (
        SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[]),
            CAST(:received AS timestamptz[]), CAST(:reduced AS text[]))
            AS o (subject_id, check_in_id, received_at, reduced)
    ), bared AS (
        UPDATE geo.check_ins AS c SET exact = NULL, signals = NULL
        FROM old
        WHERE c.subject_id = old.subject_id AND c.check_in_id = old.check_in_id
            AND c.received_at = old.received_at
    )
    UPDATE geo.check_in_receipts AS r
    SET request_hash = '', answer = NULL, reduced = old.reduced
    FROM old
    WHERE r.subject_id = old.subject_id AND r.check_in_id = old.check_in_id
""")

# A run looks again at the day before the horizon of the last one, and no further back: what was
# received earlier has lost its cell long ago.
_DROP_CELLS = text("""
    UPDATE geo.check_ins AS c SET cell = NULL
    FROM (
        SELECT subject_id, check_in_id, received_at FROM geo.check_ins
        WHERE received_at < :horizon AND cell IS NOT NULL
            AND received_at >= COALESCE((
                SELECT ran_at - CAST(:kept AS interval) - interval '1 day'
                FROM geo.maintenance_runs WHERE job = 'cells' AND changed < :most
            ), '-infinity')
        LIMIT :most
    ) AS old
    WHERE c.subject_id = old.subject_id AND c.check_in_id = old.check_in_id
        AND c.received_at = old.received_at
""")

_ENSURE_MONTH = text("SELECT geo.ensure_check_in_month(CAST(:month AS date))")


@dataclass(slots=True)
class Maintenance:
    """The periodic jobs of one process; ``further`` are those of packages above this one."""

    database: Database
    tools: Tools
    clock: Clock
    wake_feed: Callable[[], None]
    further: Mapping[str, tuple[float, Job]] = field(default_factory=dict)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def jobs(self) -> Mapping[str, tuple[float, Job]]:
        """By name, how often (in seconds) what is done."""
        return {
            "expire_visits": (15, self._expire_visits),
            "end_visits": (15, self._end_visits),
            "settle_closings": (15, self._settle_closings),
            "retention": (600, self._retain),
            "cells": (3600, self._drop_cells),
            "partitions": (3600, self._partition),
            "idempotency": (3600, self._forget_keys),
            "sightings": (600, self._forget_sightings),
            "closings": (3600, self._forget_closings),
            **self.further,
        }

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._repeat(name, every_s))
            for name, (every_s, _) in self.jobs.items()
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _repeat(self, name: str, every_s: float) -> None:
        while True:
            await self.attempt(name)
            await asyncio.sleep(every_s)

    async def attempt(self, name: str) -> None:
        """Do a job; a failure is logged and counted, and forgotten once the job ends well."""
        try:
            if await self.run(name) is not None:
                _failures.labels(name).set(0)
            _last_run.labels(name).set_to_current_time()
        except Exception as error:  # noqa: BLE001 - a job must be tried again, whatever it met
            _log.error("maintenance_failed", job=name, exc_info=error)
            _failures.labels(name).inc()
            await self._note_failure(name)

    async def _note_failure(self, name: str) -> None:
        try:
            async with self.database.begin() as connection:
                await connection.execute(_NOTE_FAILURE, {"job": name})
        except Exception as error:  # noqa: BLE001 - what failed the job may stand in the way of this
            _log.warning("maintenance_failure_not_noted", job=name, error=type(error).__name__)

    async def run(self, name: str) -> int | None:
        """Do all of a job; gives the rows changed, or None where another process does it now."""
        _, job = self.jobs[name]
        total = 0
        while True:
            now = self.clock()
            async with self.database.begin() as connection:
                if not await connection.scalar(_TRY_LOCK, {"job": name}):
                    return None
                changed = await job(connection, now)
                total += changed
                noted = {"job": name, "now": now, "changed": total, "ended": changed < _BATCH}
                await connection.execute(_NOTE, noted)
            if changed < _BATCH:
                return total

    async def _expire_visits(self, connection: AsyncConnection, now: datetime) -> int:
        expired = await expire_silent_visits(connection, self.tools.feed_tables, now, _BATCH)
        if expired:
            self.wake_feed()
        return expired

    async def _end_visits(self, connection: AsyncConnection, now: datetime) -> int:
        """Those at stores that close for a time, or whose geofences' schedules have ended."""

        async def end(
            connection: AsyncConnection, store_id: str, at: datetime, why: VisitsEnd
        ) -> None:
            await close_visits_of_store(
                connection, self.tools.feed_tables, store_id, at, ClosedBy(why)
            )
            self.wake_feed()

        return await end_visits_by_time(connection, now, end, _BATCH)

    async def _settle_closings(self, connection: AsyncConnection, now: datetime) -> int:
        settled = await settle_closings(connection, self.tools, now)
        if settled:
            self.wake_feed()
        return settled

    async def _retain(self, connection: AsyncConnection, now: datetime) -> int:
        """Reduce what is older than the horizon, then destroy the keys of the days before it."""
        horizon = now - EXACT_FOR
        found = await connection.execute(_OLD_RECEIPTS, {"horizon": horizon, "most": _BATCH})
        old = found.all()
        if old:
            values = {
                "subjects": [row.subject_id for row in old],
                "ids": [row.check_in_id for row in old],
                "received": [row.received_at for row in old],
                "reduced": [await self._reduced(row) for row in old],
            }
            await connection.execute(_REDUCE, values)
        if len(old) < _BATCH:
            day = horizon.astimezone(UTC).date()
            await connection.execute(_DESTROY_KEYS, {"horizon": day, "now": now})
            self.tools.day_keys.forget_before(day)
        return len(old)

    async def _reduced(self, row: Row[Any]) -> str:
        receipt = Receipt(row.request_hash, row.received_at, row.answer, row.reduced)
        key = await self.tools.day_keys.find(row.received_at.date())
        try:
            return reduced(opened(row.subject_id, row.check_in_id, receipt, key, 200).body)
        except (InvalidTag, ValueError, LookupError) as error:  # one receipt holds up no other
            _log.error("receipt_unreadable", check_in_id=str(row.check_in_id), exc_info=error)
            return bare(row.check_in_id)

    async def _drop_cells(self, connection: AsyncConnection, now: datetime) -> int:
        values = {"horizon": now - CELL_FOR, "most": _BATCH, "kept": CELL_FOR}
        return (await connection.execute(_DROP_CELLS, values)).rowcount

    async def _partition(self, connection: AsyncConnection, now: datetime) -> int:
        month = now.replace(day=1)
        for _ in range(MONTHS_AHEAD + 1):
            await connection.execute(_ENSURE_MONTH, {"month": month.date()})
            month = (month + timedelta(days=32)).replace(day=1)
        return 0

    async def _forget_sightings(self, connection: AsyncConnection, now: datetime) -> int:
        return await prune(connection, now, _BATCH)

    async def _forget_closings(self, connection: AsyncConnection, now: datetime) -> int:
        return await closing_rows.prune(connection, now, _BATCH)

    async def _forget_keys(self, connection: AsyncConnection, now: datetime) -> int:
        expired = IDEMPOTENCY.delete().where(IDEMPOTENCY.c.expires_at <= now)
        return (await connection.execute(expired)).rowcount

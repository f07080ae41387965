"""The use case of an import: all rows of a file in one transaction, written by columns."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places import repository
from services.geo_api.places.domain import (
    Geofence,
    Outcome,
    PlaceRow,
    RowRefused,
    Store,
    put_geofence,
    put_store,
)
from services.geo_api.places.kept import keep_unsaid
from services.geo_api.places.service.writing import Changes, Writer, write
from shared.errors import FieldFault, Refusal

ROWS_AT_ONCE = 1_000
"""Few enough that check-ins on the same process have their turn in between."""

Progress = Callable[[int], Awaitable[None]]
"""Told how many rows are done."""

_FOR_LONG_WORK = text("""
    SELECT set_config('lock_timeout', '60s', true), set_config('statement_timeout', '60s', true),
        set_config('plan_cache_mode', 'force_custom_plan', true)
""")
"""An import may wait for another one to end; a person's single change may not. And it fills tables
so fast that a plan made at its beginning, when they were empty, would read them over and over."""


@dataclass(slots=True)
class Imported:
    """What became of the rows that could be read; ``stores`` is how each of them is now."""

    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    refused: list[RowRefused] = field(default_factory=list)
    stores: dict[str, Store] = field(default_factory=dict)


async def run(
    connection: AsyncConnection,
    writer: Writer,
    rows: Sequence[PlaceRow],
    *,
    dry_run: bool,
    progress: Progress,
) -> Imported:
    """Create and change stores with their geofences; what cannot be done is refused by row.

    A dry run looks at the same things and writes nothing. The same rows again change nothing.
    """
    imported = Imported()
    held = 0
    await connection.execute(_FOR_LONG_WORK)
    if not dry_run:
        held = await repository.lock_index(connection)
    changed = False
    for start in range(0, len(rows), ROWS_AT_ONCE):
        portion = rows[start : start + ROWS_AT_ONCE]
        changes = await _decide(connection, writer, portion, imported)
        if changes and not dry_run:
            await write(connection, writer, changes, held + 1)
            changed = True
        await progress(start + len(portion))
    if changed:
        await repository.publish(connection, held + 1)
    return imported


async def _decide(
    connection: AsyncConnection, writer: Writer, rows: Sequence[PlaceRow], imported: Imported
) -> Changes:
    stores = await repository.stores(connection, [row.store_id for row in rows])
    geofences = await repository.geofences(connection, [row.geofence_id for row in rows])
    stores |= {row.store_id: s for row in rows if (s := imported.stores.get(row.store_id))}
    changes = Changes()
    for row in rows:
        name, fence = row.store_id, row.geofence_id
        said = keep_unsaid(row, stores.get(name), geofences.get(fence))
        try:
            store, of_store = put_store(name, stores.get(name), said.store, writer.at)
            drawn = _drawn(said, geofences.get(fence), writer.at)
        except Refusal as refusal:
            fault = FieldFault("/id", refusal.detail)
            imported.refused.append(RowRefused(row.line, name, (fault,)))
            continue
        stores[name] = imported.stores[name] = store
        if of_store is not Outcome.UNCHANGED:
            changes.stores.append(store)
        if drawn is not None and drawn[1] is not Outcome.UNCHANGED:
            changes.geofences.append(drawn[0])
        imported.counts[_of_both(of_store, drawn[1] if drawn else Outcome.UNCHANGED)] += 1
    return changes


def _drawn(
    row: PlaceRow, current: Geofence | None, at: datetime
) -> tuple[Geofence, Outcome] | None:
    if row.geofence is None:
        return None
    return put_geofence(row.geofence_id, current, row.geofence, at)


def _of_both(store: Outcome, geofence: Outcome) -> Outcome:
    """A store that was there and gets its first geofence is updated."""
    if store is not Outcome.UNCHANGED:
        return store
    return Outcome.UNCHANGED if geofence is Outcome.UNCHANGED else Outcome.UPDATED

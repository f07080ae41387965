"""Reading the check-ins of the last days within some cells, portion by portion."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

PORTION = 5_000

_KEYS = text("""
    SELECT day, wrapped_key FROM geo.day_keys
    WHERE day >= CAST(:since AS date) AND wrapped_key IS NOT NULL
""")

_NEAR = text("""
    SELECT subject_id, check_in_id, kind, occurred_at, received_at, accuracy_m, day, datum, exact
    FROM geo.check_ins
    WHERE received_at >= :since AND cell = ANY(CAST(:cells AS bigint[])) AND exact IS NOT NULL
        AND evidence = 'gps'
    LIMIT :most
""")


async def wrapped_keys(connection: AsyncConnection, since: date) -> Mapping[date, bytes]:
    """The keys of the days from ``since`` on that were not destroyed, still encrypted."""
    return {row.day: row.wrapped_key for row in await connection.execute(_KEYS, {"since": since})}


async def check_ins_near(
    connection: AsyncConnection, cells: Collection[int], since: datetime, most: int
) -> AsyncIterator[Sequence[Row[tuple[object, ...]]]]:
    """At most ``most`` check-ins received since then in one of the cells, in portions.

    Only those that rest on a precise fix: what a code proves, an outline does not decide.
    """
    values = {"since": since, "cells": list(cells), "most": most}
    async with connection.stream(_NEAR, values) as found:
        async for portion in found.partitions(PORTION):
            yield portion

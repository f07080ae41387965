"""The dry run of a new outline over the check-ins of the last days."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.service.exact import open_exact, unwrapped
from services.geo_api.evidence.domain import CheckInKind
from services.geo_api.presence.domain import Fix
from services.geo_api.presence.fences import Fence
from services.geo_api.presence.fences import Fix as Position
from services.geo_api.presence.matching import FenceIndex
from services.geo_api.presence.rule import ArrivalRule
from services.geo_api.presence.verdict import Sighting, judge
from services.geo_api.redrawing import repository
from services.geo_api.redrawing.cells import area_m2, cells_around
from services.geo_api.redrawing.domain import AFTER, BEFORE, Comparison, compare
from shared.errors import FieldFault, Malformed, TooLarge
from shared.geo import Shape
from shared.sealing import StorageKey

MAX_CHECK_INS = 200_000
MAX_AREA_M2 = 50_000 * 1e6
"""50,000 km²: some 10,000 cells. A circle of the greatest radius has 31,416 km²."""


class TooManyCheckIns(TooLarge):
    """A dry run looks at so many check-ins and no more. Ask for fewer days, or a smaller outline."""

    slug = "dry-run-too-large"
    title = "Too many check-ins lie near the outlines"


Keys = Mapping[date, StorageKey]


async def dry_run(
    connection: AsyncConnection,
    storage: StorageKey,
    outlines: tuple[Shape, Shape],
    since: datetime,
    rule: ArrivalRule,
) -> Comparison:
    """Compare the outline in force with a proposed one by what was received ``since``.

    No coordinate outlives the portion it was decrypted with.
    Raises Malformed for an outline of over 50,000 km², TooManyCheckIns beyond 200,000 check-ins.
    """
    cells = await asyncio.to_thread(_cells, *outlines)
    keys = await _day_keys(connection, storage, since)
    named = zip((BEFORE, AFTER), outlines, strict=True)
    fences = [Fence(name, name, 1, shape) for name, shape in named]
    index = FenceIndex.build(fences, 1)
    fixes_of: dict[UUID, list[Fix]] = defaultdict(list)
    seen = 0
    most = MAX_CHECK_INS + 1
    async for portion in repository.check_ins_near(connection, cells, since, most):
        judged = await asyncio.to_thread(_judged, portion, keys, index, rule)
        for subject, fix in judged:
            fixes_of[subject].append(fix)
        seen += len(judged)
        if seen > MAX_CHECK_INS:
            raise TooManyCheckIns(
                f"Over {MAX_CHECK_INS} check-ins lie near the outlines: ask for fewer days.",
                limit=MAX_CHECK_INS,
            )
    return await asyncio.to_thread(compare, fixes_of, rule)


def _cells(before: Shape, after: Shape) -> frozenset[int]:
    for shape in (after, before):
        if area_m2(shape) > MAX_AREA_M2:
            detail = f"covers over {MAX_AREA_M2 / 1e6:,.0f} km², too much for a dry run"
            raise Malformed(FieldFault("/geometry", detail))
    return cells_around(before) | cells_around(after)


async def _day_keys(
    connection: AsyncConnection, storage: StorageKey, since: datetime
) -> Mapping[date, StorageKey]:
    first = since.astimezone(UTC).date()
    wrapped = await repository.wrapped_keys(connection, first)
    return {day: unwrapped(storage, day, key) for day, key in wrapped.items()}


def _judged(
    portion: Sequence[Any], keys: Keys, index: FenceIndex, rule: ArrivalRule
) -> list[tuple[UUID, Fix]]:
    """Where each fix of a portion stands under both; those whose key is gone are left out."""
    readable = [(row, here) for row in portion if (here := _position(row, keys)) is not None]
    found = index.match([here for _, here in readable])
    judged = []
    for (row, here), matches in zip(readable, found, strict=True):
        manual = row.kind == CheckInKind.MANUAL
        verdict = judge(matches, Sighting(here.accuracy_m, row.occurred_at, manual), {}, rule)
        stands = verdict.arrives, verdict.tentative, verdict.uncertain
        fix = Fix(row.check_in_id, row.occurred_at, row.received_at, *stands)
        judged.append((row.subject_id, fix))
    return judged


def _position(row: Any, keys: Keys) -> Position | None:
    key = keys.get(row.day)
    if key is None or row.accuracy_m is None:
        return None
    try:
        place = open_exact(row.exact, key, row.subject_id, row.check_in_id)
    except InvalidTag:
        return None
    return Position(place.lon, place.lat, place.accuracy_m)

"""A place chosen from a menu comes twice, as an event and as a message: one check-in of both.

Which of the two makes it is noted with the rows under a lock of the person's, so that any number
of processes agree, in any order and however often they are killed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.pushes.handling.effects import Opened
from shared.wechat.pushes import LocationMessage, LocationSelected

WITHIN = timedelta(seconds=60)
"""So far apart the two may lie; WeChat sends them at once."""

_LOCK = text("""
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended('solomo place ' || CAST(subject AS text), 0) AS key
        FROM unnest(CAST(:subjects AS uuid[])) AS asked (subject) ORDER BY key) AS sorted
""")

_NOTED = text("""
    SELECT p.push_id, p.account_id, p.subject_id, p.kind, p.occurred_at, p.pair_id
    FROM geo.wechat_pushes AS p
    WHERE p.subject_id = ANY(CAST(:subjects AS uuid[])) AND p.pair_id IS NOT NULL
        AND p.occurred_at BETWEEN :earliest AND :latest
""")

_NOTE = text("""
    UPDATE geo.wechat_pushes AS p SET pair_id = told.pair_id
    FROM unnest(CAST(:accounts AS text[]), CAST(:pushes AS uuid[]), CAST(:pairs AS uuid[]))
        AS told (account_id, push_id, pair_id)
    WHERE p.account_id = told.account_id AND p.push_id = told.push_id
""")


@dataclass(frozen=True, slots=True)
class Half:
    """A push that tells a chosen place.

    ``pair_id`` is the id of the one of both that makes the check-in, None while that is open.
    """

    push_id: UUID
    account_id: str
    subject_id: UUID
    kind: str
    occurred_at: datetime
    pair_id: UUID | None = None

    @property
    def leads(self) -> bool:
        return self.pair_id == self.push_id

    def fits(self, other: "Half") -> bool:
        """Whether both may be of one action."""
        return (
            (self.account_id, self.subject_id) == (other.account_id, other.subject_id)
            and self.kind != other.kind
            and abs(self.occurred_at - other.occurred_at) <= WITHIN
        )


def paired(noted: Iterable[Half], fresh: Iterable[Half]) -> dict[UUID, UUID]:
    """The pair of each of ``fresh``: the nearest other half that has none yet, or itself."""
    known = {half.push_id: half for half in noted}
    pairs: dict[UUID, UUID] = {}
    for half in sorted(fresh, key=lambda half: (half.occurred_at, half.push_id)):
        if half.push_id in known:
            continue
        taken = {other.pair_id for other in known.values() if not other.leads}
        free = [one for one in known.values() if one.leads and one.push_id not in taken]
        fitting = [one for one in free if one.fits(half)]
        nearest = min(
            fitting,
            key=lambda one: (abs(one.occurred_at - half.occurred_at), one.push_id),
            default=half,
        )
        pairs[half.push_id] = nearest.push_id
        known[half.push_id] = replace(half, pair_id=nearest.push_id)
    return pairs


async def followers(connection: AsyncConnection, opened: Sequence[Opened]) -> set[UUID]:
    """Those pushes among ``opened`` whose other half makes the check-in; noted for good."""
    fresh = [
        Half(
            one.row.push_id,
            one.row.account_id,
            one.subject_id,
            one.row.kind,
            one.row.occurred_at,
        )
        for one in opened
        if isinstance(one.push, LocationMessage | LocationSelected) and one.push.position
    ]
    if not fresh:
        return set()
    subjects = sorted({half.subject_id for half in fresh})
    await connection.execute(_LOCK, {"subjects": subjects})
    times = [half.occurred_at for half in fresh]
    around = {"earliest": min(times) - WITHIN, "latest": max(times) + WITHIN}
    rows = await connection.execute(_NOTED, {"subjects": subjects, **around})
    noted = [Half(*row) for row in rows]
    pairs = paired(noted, fresh)
    accounts = {half.push_id: half.account_id for half in fresh}
    values = {
        "accounts": [accounts[push_id] for push_id in pairs],
        "pushes": [*pairs],
        "pairs": [*pairs.values()],
    }
    await connection.execute(_NOTE, values)
    known = {half.push_id: half.pair_id for half in noted} | pairs
    return {half.push_id for half in fresh if known[half.push_id] != half.push_id}

"""Forgetting where somebody was, because the permission to know it was taken back."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.pushes.domain import WHEREABOUTS_KINDS
from services.geo_api.wechat.pushes.handling.effects import Revocation
from shared.contracts.events import EventType
from shared.feed.tables import FeedTables, bucket_of

_TOLD = (
    EventType.CHECK_IN,
    EventType.VISIT_ENTERED,
    EventType.VISIT_DWELLED,
    EventType.VISIT_EXITED,
    EventType.VISIT_EXPIRED,
    EventType.INVITATION_SHOWN,
)

# Receipts hold the answers, with distances and stores; a repeat is judged anew, and refused.
_CHECK_INS = text("""
    WITH gone AS (
        DELETE FROM geo.check_ins
        WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND occurred_at <= :at
        RETURNING subject_id, check_in_id
    )
    DELETE FROM geo.check_in_receipts AS r USING gone
    WHERE r.subject_id = gone.subject_id AND r.check_in_id = gone.check_in_id
""")

_VISITS = text("""
    WITH gone AS (
        DELETE FROM geo.visits
        WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND entered_at <= :at
        RETURNING subject_id, visit_id
    )
    DELETE FROM geo.visit_aliases AS a USING gone
    WHERE a.subject_id = gone.subject_id AND a.visit_id = gone.visit_id
""")

_SIGHTINGS = text("""
    DELETE FROM geo.fix_sightings WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
""")

_LAST = text("""
    UPDATE geo.subjects SET
        whereabouts_revoked_at = GREATEST(whereabouts_revoked_at, :at),
        last_occurred_at = CASE WHEN last_occurred_at > :at THEN last_occurred_at END,
        last_received_at = CASE WHEN last_occurred_at > :at THEN last_received_at END,
        last_check_in_id = CASE WHEN last_occurred_at > :at THEN last_check_in_id END,
        last_day = CASE WHEN last_occurred_at > :at THEN last_day END,
        last_exact = CASE WHEN last_occurred_at > :at THEN last_exact END,
        maybe = CASE WHEN last_occurred_at > :at THEN maybe END
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
""")

_PUSHES = text("""
    UPDATE geo.wechat_pushes SET state = 'handled', body = NULL, reason = 'whereabouts_revoked'
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND occurred_at <= :at
        AND state IN ('parked', 'unknown') AND kind = ANY(CAST(:kinds AS text[]))
""")


async def forget(
    connection: AsyncConnection,
    tables: FeedTables,
    revocation: Revocation,
    siblings: Sequence[UUID],
) -> None:
    """Delete what tells where a person was up to the revocation; ``siblings`` are locked.

    Check-ins, their answers, visits, the last place, what waits to be told. Coupons stay: they
    were won, and tell a store, not a path.
    """
    values = {"subjects": [*siblings], "at": revocation.at}
    for statement in (_CHECK_INS, _VISITS, _LAST):
        await connection.execute(statement, values)
    await connection.execute(_SIGHTINGS, {"subjects": [*siblings]})
    await connection.execute(_PUSHES, {**values, "kinds": [*WHEREABOUTS_KINDS]})
    untold = text(f"""
        DELETE FROM {tables.outbox.fullname}
        WHERE bucket = ANY(CAST(:buckets AS int[])) AND subject_id = ANY(CAST(:subjects AS uuid[]))
            AND type = ANY(CAST(:types AS text[]))
            AND CAST(COALESCE(CAST(payload AS jsonb) #>> '{{data,entered_at}}',
                CAST(payload AS jsonb) ->> 'time') AS timestamptz) <= :at
    """)
    buckets = [bucket_of(subject, subject) for subject in siblings]
    types = [kind.value for kind in _TOLD]
    await connection.execute(untold, {**values, "buckets": buckets, "types": types})

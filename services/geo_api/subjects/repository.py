"""Every query of subjects and tombstones."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.subjects.domain import LastSeen, SubjectState
from shared.contracts.events import ConsentFact, Lifecycle, Purpose
from shared.direct import RowsOf, Statement, read_together

_STATE_COLUMNS = """subject_id, identity_told, last_occurred_at, last_received_at, person_id,
    siblings, lifecycle, consents, erased_at, last_check_in_id, last_day, last_exact, maybe,
    ended_at, whereabouts_revoked_at"""

_READ = text(f"""
    SELECT {_STATE_COLUMNS} FROM geo.subjects
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
""")

# Locks rows in the order of their ids, known or new, siblings included: two groups never wait
# for each other in a ring. A plain UPDATE … = ANY(…) locks in the order of the plan and does
# deadlock. `WHERE false` locks a known row without writing it; only new ones are returned.
_LOCK = text("""
    WITH wanted AS (
        SELECT unnest(CAST(:subjects AS uuid[])) AS id
        UNION SELECT sibling.subject_id FROM geo.subjects AS s
        JOIN geo.subjects AS sibling ON sibling.subject_id = ANY(s.siblings)
        WHERE s.subject_id = ANY(CAST(:subjects AS uuid[]))
    ), made AS (
        INSERT INTO geo.subjects AS s (subject_id, created_at, identity_told, facts_revision,
            siblings, lifecycle, tags, segments, consents)
        SELECT id, :now, false, 0, ARRAY[id], 'fan', '{}', '{}', '{}' FROM wanted ORDER BY id
        ON CONFLICT (subject_id) DO UPDATE SET created_at = s.created_at WHERE false
        RETURNING subject_id
    )
    SELECT id, made.subject_id IS NOT NULL AS is_new
    FROM wanted LEFT JOIN made ON made.subject_id = id
""")

_TOUCH = text("""
    UPDATE geo.subjects AS s SET
        last_occurred_at = GREATEST(s.last_occurred_at, seen.occurred_at),
        last_received_at = GREATEST(s.last_received_at, seen.received_at),
        identity_told = s.identity_told OR seen.told,
        erased_at = COALESCE(s.erased_at, seen.erased_at),
        last_check_in_id = COALESCE(seen.check_in_id, s.last_check_in_id),
        last_day = COALESCE(seen.day, s.last_day),
        last_exact = COALESCE(seen.exact, s.last_exact),
        maybe = CASE WHEN seen.occurred_at IS NULL THEN s.maybe ELSE seen.maybe::jsonb END
    FROM unnest(CAST(:rows AS geo.seen_subject[])) AS seen
    WHERE s.subject_id = seen.subject_id
""")

_NOTE_ENDS = text("""
    UPDATE geo.subjects AS s SET ended_at = GREATEST(s.ended_at, told.ended_at)
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:ends AS timestamptz[]))
        AS told (subject_id, ended_at)
    WHERE s.subject_id = told.subject_id
""")

_FORGET = text("DELETE FROM geo.subjects WHERE subject_id = ANY(CAST(:subjects AS uuid[]))")

_ERASURES = text("""
    SELECT subject_hash, erased_at FROM geo.tombstones
    WHERE subject_hash = ANY(CAST(:hashes AS bytea[]))
""")

_APPLY_FACTS = text("""
    INSERT INTO geo.subjects AS s (subject_id, created_at, identity_told, facts_revision,
        person_id, siblings, lifecycle, tier, tags, segments, consents)
    SELECT id, :now, false, revision, person_id, string_to_array(siblings, ',')::uuid[],
        lifecycle, tier, ARRAY(SELECT jsonb_array_elements_text(tags)),
        ARRAY(SELECT jsonb_array_elements_text(segments)), consents
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:revisions AS bigint[]),
        CAST(:persons AS uuid[]), CAST(:siblings AS text[]), CAST(:lifecycles AS text[]),
        CAST(:tiers AS text[]), CAST(:tags AS jsonb[]), CAST(:segments AS jsonb[]),
        CAST(:consents AS jsonb[]))
        AS told (id, revision, person_id, siblings, lifecycle, tier, tags, segments, consents)
    ORDER BY id
    ON CONFLICT (subject_id) DO UPDATE SET
        facts_revision = EXCLUDED.facts_revision, person_id = EXCLUDED.person_id,
        siblings = EXCLUDED.siblings, lifecycle = EXCLUDED.lifecycle, tier = EXCLUDED.tier,
        tags = EXCLUDED.tags, segments = EXCLUDED.segments, consents = EXCLUDED.consents
    WHERE s.facts_revision < EXCLUDED.facts_revision
    RETURNING subject_id
""")

_BURY = text("""
    INSERT INTO geo.tombstones AS t (subject_hash, erased_at) VALUES (:hash, :erased_at)
    ON CONFLICT (subject_hash) DO UPDATE SET
        erased_at = GREATEST(t.erased_at, EXCLUDED.erased_at)
""")


async def read(connection: AsyncConnection, subjects: Sequence[UUID]) -> list[SubjectState]:
    """The known ones of ``subjects``, without locking them."""
    rows = await connection.execute(_READ, {"subjects": subjects})
    return [_state(row) for row in rows]


async def lock(
    connection: AsyncConnection, subjects: Iterable[UUID], now: datetime
) -> dict[UUID, SubjectState]:
    """Lock subjects, and those siblings that have a row, until the end of the transaction.

    The rows of unknown ``subjects`` are made.
    """
    states, _ = await lock_and_read(connection, subjects, now, ())
    return states


async def lock_and_read(
    connection: AsyncConnection,
    subjects: Iterable[UUID],
    now: datetime,
    beside: Sequence[Statement],
) -> tuple[dict[UUID, SubjectState], list[RowsOf]]:
    """``lock``, and the rows of what else is asked under it, in the trip that reads the subjects."""
    wanted, new, locked = set(subjects), set[UUID](), set[UUID]()
    while True:
        rows = (await connection.execute(_LOCK, {"subjects": list(wanted), "now": now})).all()
        new |= {row.id for row in rows if row.is_new}
        locked |= {row.id for row in rows}
        reading = Statement(_READ, {"subjects": list(locked)})
        found, *others = await read_together(connection, [reading, *beside])
        states = {row[0]: _state(row, new) for row in found}
        kin = {sibling for state in states.values() for sibling in state.siblings} - locked
        joined = await read(connection, list(kin)) if kin else []  # while we waited for the lock
        if not joined:
            return states, others
        wanted |= {state.subject_id for state in joined}


_NOT_LAST = None, None, None


class Seen(NamedTuple):
    """What was seen of a subject; without ``occurred_at`` no fix was, and ``maybe`` stays.

    ``last`` is its latest fix, None if there is a later one; ``maybe`` is JSON, None for nothing.
    """

    subject_id: UUID
    occurred_at: datetime | None = None
    received_at: datetime | None = None
    told: bool = False
    erased_at: datetime | None = None
    last: LastSeen | None = None
    maybe: str | None = None


def touching(seen: Sequence[Seen]) -> list[Statement]:
    """Note what was seen of subjects, each at most once in ``seen``."""
    return [Statement(_TOUCH, {"rows": [_row(one) for one in seen]})] if seen else []


def _row(seen: Seen) -> tuple[object, ...]:
    """As ``geo.seen_subject`` has it."""
    subject, occurred_at, received_at, told, erased_at, last, maybe = seen
    return subject, occurred_at, received_at, told, erased_at, *(last or _NOT_LAST), maybe


async def note_ends(connection: AsyncConnection, ends: Mapping[UUID, datetime]) -> None:
    """Remember when places ended visits of subjects, so that earlier fixes count as late."""
    if ends:
        values = {"subjects": list(ends), "ends": list(ends.values())}
        await connection.execute(_NOTE_ENDS, values)


async def forget(connection: AsyncConnection, subjects: Sequence[UUID]) -> None:
    """Remove the rows of subjects of which nothing was recorded."""
    if subjects:
        await connection.execute(_FORGET, {"subjects": subjects})


async def erasures(connection: AsyncConnection, hashes: Sequence[bytes]) -> dict[bytes, datetime]:
    """When the subjects with these keyed hashes were erased, where they were."""
    if not hashes:
        return {}
    rows = await connection.execute(_ERASURES, {"hashes": hashes})
    return {row.subject_hash: row.erased_at for row in rows}


async def apply_facts(
    connection: AsyncConnection, columns: dict[str, object], now: datetime
) -> set[UUID]:
    """Take audience facts over where their revision is higher; gives the subjects changed."""
    rows = await connection.execute(_APPLY_FACTS, {**columns, "now": now})
    return {row.subject_id for row in rows}


async def bury(connection: AsyncConnection, subject_hash: bytes, erased_at: datetime) -> None:
    """Remember an erasure, and nothing else of the subject."""
    await connection.execute(_BURY, {"hash": subject_hash, "erased_at": erased_at})


def _state(row: Iterable[Any], new: Container[UUID] = ()) -> SubjectState:
    subject, told, occurred_at, received_at, person, siblings, lifecycle, consents, *others = row
    erased_at, last_id, last_day, exact, maybe, ended_at, revoked_at = others
    return SubjectState(
        subject_id=subject,
        is_new=subject in new,
        identity_told=told,
        last_occurred_at=occurred_at,
        last_received_at=received_at,
        person_id=person,
        siblings=tuple(siblings),
        lifecycle=Lifecycle(lifecycle),
        consents={
            Purpose(purpose): ConsentFact.model_validate(fact) for purpose, fact in consents.items()
        },
        erased_at=erased_at,
        last=None if exact is None else LastSeen(last_id, last_day, exact),
        maybe=maybe and _moments(maybe),
        ended_at=ended_at,
        whereabouts_revoked_at=revoked_at,
    )


def _moments(maybe: Mapping[str, Sequence[str]]) -> dict[str, list[datetime]]:
    return {store: [*map(datetime.fromisoformat, times)] for store, times in maybe.items()}

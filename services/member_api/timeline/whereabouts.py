"""Whereabouts that somebody took back: what is forgotten of them, and what comes too late."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.people import service as people
from services.member_api.timeline import counting, writing
from services.member_api.timeline.domain import Bond, reach
from services.member_api.timeline.facts import Fact
from services.member_api.timeline.values import moment
from shared.contracts.events import EventType
from shared.direct import Statement

_OPENING = frozenset(
    {
        EventType.CHECK_IN.value,
        EventType.VISIT_ENTERED.value,
        EventType.INVITATION_SHOWN.value,
    }
)
_CLOSING = frozenset({EventType.VISIT_EXITED.value, EventType.VISIT_EXPIRED.value})
_KINDS = _OPENING | _CLOSING | {EventType.VISIT_DWELLED.value}

_REVOCATIONS = text("""
    SELECT subject_id, revoked_at FROM member.whereabouts_revocations
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
""")

_REVOKE = text("""
    INSERT INTO member.whereabouts_revocations AS r (subject_id, revoked_at)
    SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:moments AS timestamptz[]))
    ON CONFLICT (subject_id) DO UPDATE SET revoked_at = GREATEST(r.revoked_at, EXCLUDED.revoked_at)
""")

# What counts is when the stay began of which an item tells. An invitation tells of one where it
# answered a check-in, not where a scanned code brought it.
_FORGET_ITEMS = text("""
    DELETE FROM member.timeline_items AS t
    USING unnest(CAST(:subjects AS uuid[]), CAST(:moments AS timestamptz[])) AS r (id, until)
    WHERE t.subject_id = r.id AND r.until >= CASE t.type
        WHEN 'check_in' THEN t.occurred_at
        WHEN 'visit_entered' THEN t.occurred_at
        WHEN 'invitation_shown'
            THEN CASE WHEN t.data ->> 'check_in_id' IS NOT NULL THEN t.occurred_at END
        WHEN 'visit_dwelled'
            THEN t.occurred_at - make_interval(secs => CAST(t.data ->> 'dwell_s' AS integer))
        WHEN 'visit_exited' THEN CAST(t.data ->> 'entered_at' AS timestamptz)
        WHEN 'visit_expired' THEN CAST(t.data ->> 'entered_at' AS timestamptz)
    END
    RETURNING t.subject_id, t.type, CAST(t.data ->> 'visit_id' AS uuid) AS visit_id,
        CASE t.type WHEN 'visit_dwelled' THEN CAST(t.data ->> 'dwell_s' AS integer) END AS dwell_s
""")

_FORGET_VISITS = text("""
    UPDATE member.visits AS v SET
        entered_at = CASE WHEN entered_at > r.until THEN entered_at END,
        exited_from = CASE WHEN exited_from > r.until THEN exited_from END,
        exited_at = CASE WHEN exited_from > r.until THEN exited_at END,
        expired_from = CASE WHEN expired_from > r.until THEN expired_from END,
        expired_at = CASE WHEN expired_from > r.until THEN expired_at END
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:moments AS timestamptz[])) AS r (id, until)
    WHERE v.subject_id = r.id
        AND LEAST(v.entered_at, v.exited_from, v.expired_from) <= r.until
""")

_DROP_EMPTY = text("""
    DELETE FROM member.visits
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND dwelled = '{}'
        AND COALESCE(entered_at, exited_from, expired_from) IS NULL
""")


async def revocations(
    connection: AsyncConnection, subjects: Iterable[UUID]
) -> dict[UUID, datetime]:
    """Up to when the whereabouts of those of ``subjects`` are revoked that have it so."""
    rows = await connection.execute(*asking_revocations(subjects))
    return {row.subject_id: row.revoked_at for row in rows}


def asking_revocations(subjects: Iterable[UUID]) -> Statement:
    """Gives (subject, up to when its whereabouts are revoked) of each that has it so."""
    return Statement(_REVOCATIONS, {"subjects": list(subjects)})


def tell_whereabouts(facts: Iterable[Fact]) -> set[UUID]:
    """The subjects of facts that say where somebody was."""
    return {fact.subject for fact in facts if fact.type in _KINDS}


def withheld(facts: Iterable[Fact], revoked: Mapping[UUID, datetime]) -> list[Fact]:
    """Facts as they are to be applied: what tells of a stay that was revoked, as retracted.

    So it takes the place of its earlier revisions and leaves nothing in its own.
    """
    return [f._replace(retracted=True) if _is_revoked(f, revoked) else f for f in facts]


async def revoke(
    connection: AsyncConnection, until: Mapping[UUID, datetime], touched: Iterable[UUID]
) -> None:
    """Forget the whereabouts of the people of ``touched``, whom the caller has locked.

    ``until`` are revocations just told, by subject. Those that were known reach further where
    ``touched`` were joined since; see ``reach``.
    """
    everybody = list(await people.with_siblings(connection, {*touched, *until}))
    before = await revocations(connection, everybody)
    said = before | {who: max(at, before.get(who, at)) for who, at in until.items()}
    if not said:
        return
    bonds = [
        Bond(edge.subject_a, edge.subject_b, edge.holds_from)
        for edge in await people.live_edges(connection, everybody)
        if edge.holds_from is not None
    ]
    changed = {who: at for who, at in reach(said, bonds).items() if at != before.get(who)}
    if changed:
        await _forget(connection, changed)


async def drop_empty_visits(connection: AsyncConnection, subjects: Iterable[UUID]) -> None:
    """Remove rows of visits of which nothing is known but that there was one at a store."""
    await connection.execute(_DROP_EMPTY, {"subjects": list(subjects)})


async def _forget(connection: AsyncConnection, until: Mapping[UUID, datetime]) -> None:
    values = {"subjects": list(until), "moments": list(until.values())}
    await connection.execute(_REVOKE, values)
    removed = (await connection.execute(_FORGET_ITEMS, values)).all()
    await connection.execute(_FORGET_VISITS, values)
    dwells = [(row.subject_id, row.visit_id, row.dwell_s) for row in removed if row.dwell_s]
    await writing.take_back_dwells(connection, dwells)
    await drop_empty_visits(connection, until)
    await counting.recount(connection, [(row.subject_id, row.type) for row in removed])


def _is_revoked(fact: Fact, revoked: Mapping[UUID, datetime]) -> bool:
    if fact.retracted or fact.type not in _KINDS or fact.subject not in revoked:
        return False
    if fact.type == EventType.INVITATION_SHOWN and fact.data.get("check_in_id") is None:
        return False
    return _began_at(fact) <= revoked[fact.subject]


def _began_at(fact: Fact) -> datetime:
    """When the stay began of which a fact tells."""
    if fact.type in _CLOSING:
        return moment(fact.data["entered_at"], "bad_entered_at")
    if fact.type in _OPENING:
        return fact.at
    return fact.at - timedelta(seconds=fact.data["dwell_s"])

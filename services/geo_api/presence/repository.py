"""Every query of visits."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.presence.domain import ClosedBy, Visit, VisitState
from shared.direct import Statement

_VISIT_COLUMNS = """subject_id, visit_id, store_id, state, entered_at, last_inside_at, left_at,
    closed_by, provisional, revision, last_received_at, dwelled, unfenced, sensed_at"""

_GOING_ON = text(f"""
    SELECT {_VISIT_COLUMNS} FROM geo.visits
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND (state = 'open' OR provisional)
""")

_SINCE = text(f"""
    SELECT {_VISIT_COLUMNS} FROM geo.visits
    JOIN unnest(CAST(:subjects AS uuid[]), CAST(:starts AS timestamptz[])) AS l (s, start_at)
      ON subject_id = l.s AND entered_at >= l.start_at
""")

_BEGIN = text(f"""
    INSERT INTO geo.visits ({_VISIT_COLUMNS})
    SELECT subject_id, visit_id, store_id, state, entered_at, last_inside_at, left_at,
        closed_by, provisional, revision, last_received_at,
        string_to_array(dwelled, ',')::integer[], unfenced, sensed_at
    FROM unnest(CAST(:rows AS geo.new_visit[]))
""")

_CHANGE = text("""
    UPDATE geo.visits AS v SET
        state = n.state, entered_at = n.entered_at, last_inside_at = n.last_inside_at,
        left_at = n.left_at, closed_by = n.closed_by, provisional = n.provisional,
        revision = n.revision, last_received_at = n.last_received_at,
        dwelled = string_to_array(n.dwelled, ',')::integer[], unfenced = n.unfenced,
        sensed_at = n.sensed_at
    FROM unnest(CAST(:rows AS geo.new_visit[])) AS n
    WHERE v.subject_id = n.subject_id AND v.visit_id = n.visit_id
""")

_REMOVE = text("""
    DELETE FROM geo.visits AS v
    USING unnest(CAST(:subjects AS uuid[]), CAST(:visits AS uuid[])) AS gone (subject_id, visit_id)
    WHERE v.subject_id = gone.subject_id AND v.visit_id = gone.visit_id
""")

_ALIAS = text("""
    INSERT INTO geo.visit_aliases (subject_id, alias_id, visit_id)
    SELECT * FROM unnest(
        CAST(:subjects AS uuid[]), CAST(:aliases AS uuid[]), CAST(:visits AS uuid[]))
    ON CONFLICT (subject_id, alias_id) DO UPDATE SET visit_id = EXCLUDED.visit_id
""")

# What a visit was joined to may itself have been joined to another one later.
_READ = text(f"""
    WITH RECURSIVE heirs AS (
        SELECT CAST(:visit AS uuid) AS visit_id
        UNION
        SELECT a.visit_id FROM heirs AS h
        JOIN geo.visit_aliases AS a ON a.subject_id = :subject AND a.alias_id = h.visit_id
    )
    SELECT {_VISIT_COLUMNS} FROM geo.visits JOIN heirs USING (visit_id)
    WHERE subject_id = :subject
    ORDER BY visit_id <> :visit LIMIT 1
""")

_VISITED_BEFORE = text("""
    SELECT DISTINCT subject_id, store_id FROM geo.visits
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
      AND store_id = ANY(CAST(:stores AS text[]))
      AND visit_id <> ALL(CAST(:except_visits AS uuid[]))
""")

_SUBJECTS_AT_STORE = text("""
    SELECT DISTINCT subject_id FROM geo.visits
    WHERE store_id = :store AND state = 'open'
""")

_PERHAPS_SILENT = text("""
    SELECT v.subject_id FROM geo.visits AS v JOIN geo.subjects AS s USING (subject_id)
    WHERE v.state = 'open' AND v.last_received_at < :before AND v.last_inside_at < :before
        AND COALESCE(s.last_received_at < :before, true)
        AND COALESCE(s.last_occurred_at < :before, true)
    ORDER BY v.last_received_at
    LIMIT :most
""")


async def going_on(connection: AsyncConnection, subjects: Sequence[UUID]) -> list[Visit]:
    """The visits that a next fix may prolong: open ones, and those closed by silence alone."""
    statement = asking_going_on(subjects)
    return visits(await connection.execute(statement.text, statement.values))


def asking_going_on(subjects: Sequence[UUID]) -> Statement:
    """What ``going_on`` runs, to be run together with other queries; give its rows to ``visits``."""
    return Statement(_GOING_ON, {"subjects": subjects})


def visits(rows: Iterable[Iterable[Any]]) -> list[Visit]:
    return [_visit(row) for row in rows]


async def read(connection: AsyncConnection, subject_id: UUID, visit_id: UUID) -> Visit | None:
    """The visit of that id, or the one that the id now stands for."""
    found = await _visits(connection, _READ, subject=subject_id, visit=visit_id)
    return found[0] if found else None


async def since(connection: AsyncConnection, starts: Mapping[UUID, datetime]) -> list[Visit]:
    """All visits that each subject entered at its start or later."""
    statement = asking_since(starts)
    return await _visits(connection, statement.text, **statement.values)


def asking_since(starts: Mapping[UUID, datetime]) -> Statement:
    """What ``since`` runs, to be run together with other queries; give its rows to ``visits``."""
    return Statement(_SINCE, {"subjects": list(starts), "starts": list(starts.values())})


async def subjects_at_store(connection: AsyncConnection, store_id: str) -> list[UUID]:
    """Who has an open visit at a store."""
    rows = await connection.execute(_SUBJECTS_AT_STORE, {"store": store_id})
    return [row.subject_id for row in rows]


async def perhaps_silent(connection: AsyncConnection, before: datetime, most: int) -> list[UUID]:
    """Subjects that sent nothing since ``before`` and have an open visit, for ``most`` visits."""
    rows = await connection.execute(_PERHAPS_SILENT, {"before": before, "most": most})
    return [row.subject_id for row in rows]


async def list_visits(
    connection: AsyncConnection,
    *,
    store_id: str | None,
    state: VisitState,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Visit]:
    """Visits in one state, latest entry first, behind the (entered_at, visit_id) ``after``."""
    entered_at, visit_id = after or (None, None)
    statement = list_statement(
        is_open=state is VisitState.OPEN, by_store=store_id is not None, goes_on=after is not None
    )
    values = {
        "state": state.value,
        "store": store_id,
        "entered_at": entered_at,
        "visit_id": visit_id,
        "most": limit,
    }
    needed = {name: value for name, value in values.items() if f":{name}" in statement.text}
    return await _visits(connection, statement, **needed)


@cache
def list_statement(*, is_open: bool, by_store: bool, goes_on: bool) -> TextClause:
    """Visits in one state, newest entry first, ``goes_on`` behind the end of the last page.

    The conditions are spelt as the partial indexes spell them, and only those that hold: a plan
    that must serve any of them would serve none well.
    """
    conditions = ["state = 'open'" if is_open else "state = :state AND state <> 'open'"]
    if by_store:
        conditions.append("store_id = :store")
    if goes_on:
        conditions.append("(entered_at, visit_id) < (:entered_at, CAST(:visit_id AS uuid))")
    return text(f"""
        SELECT {_VISIT_COLUMNS} FROM geo.visits WHERE {" AND ".join(conditions)}
        ORDER BY entered_at DESC, visit_id DESC LIMIT :most
    """)


def beginning(visits: Sequence[Visit]) -> list[Statement]:
    """Insert visits that have no row yet."""
    return [Statement(_BEGIN, _rows(visits))] if visits else []


def changing(visits: Sequence[Visit]) -> list[Statement]:
    """Update visits that have a row, each at most once in ``visits``.

    Not one upsert with ``beginning``: that makes an index entry for each row that it then updates.
    """
    return [Statement(_CHANGE, _rows(visits))] if visits else []


def removing(visits: Sequence[Visit]) -> list[Statement]:
    subjects, ids = [v.subject_id for v in visits], [v.visit_id for v in visits]
    return [Statement(_REMOVE, {"subjects": subjects, "visits": ids})] if visits else []


def naming(aliases: Sequence[tuple[UUID, UUID, UUID]]) -> list[Statement]:
    """Remember (subject, former visit id, visit id it stands for)."""
    if not aliases:
        return []
    subjects, former, present = (list(column) for column in zip(*aliases, strict=True))
    return [Statement(_ALIAS, {"subjects": subjects, "aliases": former, "visits": present})]


async def stores_visited_before(
    connection: AsyncConnection,
    subjects: Sequence[UUID],
    stores: Sequence[str],
    except_visits: Sequence[UUID],
) -> set[tuple[UUID, str]]:
    """Pairs of (subject, store) with a visit other than ``except_visits``."""
    values = {"subjects": subjects, "stores": stores, "except_visits": except_visits}
    rows = await connection.execute(_VISITED_BEFORE, values)
    return {(row.subject_id, row.store_id) for row in rows}


async def _visits(
    connection: AsyncConnection, statement: TextClause, **values: object
) -> list[Visit]:
    rows = await connection.execute(statement, values)
    return visits(rows)


def _visit(row: Iterable[Any]) -> Visit:
    """From the columns in the order of ``_VISIT_COLUMNS``, which is that of the fields."""
    subject, visit, store, state, entered, last_inside, left, closed_by, *others = row
    provisional, revision, received, dwelled, unfenced, sensed = others
    return Visit(
        subject,
        visit,
        store,
        VisitState(state),
        entered,
        last_inside,
        left,
        ClosedBy(closed_by) if closed_by else None,
        provisional,
        revision,
        received,
        tuple(dwelled),
        unfenced,
        sensed,
    )


def _rows(visits: Sequence[Visit]) -> dict[str, object]:
    """As ``geo.new_visit`` has them: ``dwelled``, an array, is a text there."""
    at = Visit._fields.index("dwelled")
    rows = [(*v[:at], ",".join(map(str, v.dwelled)), *v[at + 1 :]) for v in visits]
    return {"rows": rows}

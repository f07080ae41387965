"""Every query of receipts and check-ins, each over a whole group at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.presence.domain import Closing, Fix
from shared.direct import Statement

Key = tuple[UUID, UUID]
"""(subject_id, check_in_id)"""

_READ_RECEIPTS = text("""
    SELECT r.subject_id, r.check_in_id, r.request_hash, r.received_at, r.answer, r.reduced
    FROM geo.check_in_receipts AS r
    JOIN unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[])) AS asked (s, i)
      ON r.subject_id = asked.s AND r.check_in_id = asked.i
""")

# No ON CONFLICT: under the subject's lock nobody else writes this receipt; if the lock ever
# failed, the key would stop the whole group rather than let a check-in count twice.
_WRITE_RECEIPTS = text("""
    INSERT INTO geo.check_in_receipts (subject_id, check_in_id, request_hash, received_at, answer)
    SELECT subject_id, check_in_id, request_hash, received_at, answer
    FROM unnest(CAST(:rows AS geo.new_receipt[]))
""")

_READ = text("""
    SELECT kind, evidence, trust, flags, datum, accuracy_m, occurred_at, received_at, exact,
        arrives, tentative, uncertain, rule, counts, signals, consent_purpose, consent_version,
        consent_given_at, source
    FROM geo.check_ins
    WHERE subject_id = :subject_id AND check_in_id = :check_in_id AND received_at = :received_at
""")

_WRITE = text("""
    INSERT INTO geo.check_ins (subject_id, check_in_id, received_at, occurred_at, kind, evidence,
        trust, flags, datum, accuracy_m, day, exact, cell, arrives, tentative, uncertain, rule,
        counts, signals, consent_purpose, consent_version, consent_given_at, source)
    SELECT subject_id, check_in_id, received_at, occurred_at, kind, evidence,
        trust, string_to_array(flags, ','), datum, accuracy_m,
        (received_at AT TIME ZONE 'UTC')::date, exact, cell, string_to_array(arrives, ','),
        string_to_array(tentative, ','), string_to_array(uncertain, ','), rule,
        counts, signals::jsonb, consent_purpose, consent_version, consent_given_at, source
    FROM unnest(CAST(:rows AS geo.new_check_in[]))
""")

# From the start of the episode that a late fix falls into: a pause longer than the gap before it.
_FIXES_SINCE = text("""
    WITH late AS (
        SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:firsts AS timestamptz[]))
            AS l (subject_id, first_at)
    ), ordered AS (
        SELECT c.subject_id, c.check_in_id, c.occurred_at, c.received_at, c.arrives, c.tentative,
            c.uncertain, l.first_at, c.occurred_at - lag(c.occurred_at) OVER (
                PARTITION BY c.subject_id ORDER BY c.occurred_at, c.check_in_id) AS pause
        FROM geo.check_ins AS c JOIN late AS l USING (subject_id)
        WHERE c.counts
    ), starts AS (
        SELECT subject_id, max(occurred_at) AS start_at FROM ordered
        WHERE (pause IS NULL OR pause > :gap) AND occurred_at <= first_at
        GROUP BY subject_id
    )
    SELECT o.subject_id, o.check_in_id, o.occurred_at, o.received_at, o.arrives, o.tentative,
        o.uncertain
    FROM ordered AS o LEFT JOIN starts AS s USING (subject_id)
    WHERE o.occurred_at >= COALESCE(s.start_at, o.first_at)
    ORDER BY o.subject_id, o.occurred_at, o.check_in_id
""")

# Who was there when a place closed and was seen since, or may still be taken to be there: all that
# its closing may change. A stay of over two days is none.
_CONCERNED = text("""
    SELECT DISTINCT v.subject_id FROM geo.visits AS v
    WHERE v.store_id = :store AND v.entered_at > CAST(:at AS timestamptz) - interval '2 days'
        AND (v.entered_at <= :at OR :for_good)
        AND (v.state = 'open' OR v.provisional OR v.last_inside_at > :at OR EXISTS (
            SELECT FROM geo.check_ins AS c
            WHERE c.subject_id = v.subject_id AND c.occurred_at > :at AND c.counts))
""")


class Receipt(NamedTuple):
    """What an earlier request with the same id left.

    ``answer`` is sealed, with what explains it; after the retention horizon ``reduced`` is what
    remains of it.
    """

    request_hash: bytes
    received_at: datetime
    answer: bytes | None
    reduced: str | None


class NewReceipt(NamedTuple):
    """A receipt to be written, as ``geo.new_receipt`` has it; ``answer`` is sealed."""

    subject_id: UUID
    check_in_id: UUID
    request_hash: bytes
    received_at: datetime
    answer: bytes


class NewCheckIn(NamedTuple):
    """A check-in to be written, as ``geo.new_check_in`` has it.

    ``flags`` and stores are joined by commas, which are in none of them (a list in a row costs
    the driver ten times as much as a text); ``signals`` are JSON.
    """

    subject_id: UUID
    check_in_id: UUID
    received_at: datetime
    occurred_at: datetime
    kind: str
    evidence: str
    trust: int
    flags: str
    datum: str
    accuracy_m: float | None
    exact: bytes | None
    cell: int | None
    arrives: str
    tentative: str
    uncertain: str
    rule: str
    counts: bool
    signals: str
    consent_purpose: str
    consent_version: str
    consent_given_at: datetime
    source: str


async def read_receipts(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, Receipt]:
    """Those of ``keys`` that were decided before."""
    statement = asking_receipts(keys)
    return receipts(await connection.execute(statement.text, statement.values))


def asking_receipts(keys: Sequence[Key]) -> Statement:
    """What ``receipts`` reads the rows of, to be run together with other queries."""
    subjects, ids = [subject for subject, _ in keys], [check_in for _, check_in in keys]
    return Statement(_READ_RECEIPTS, {"subjects": subjects, "ids": ids})


def receipts(rows: Iterable[Sequence[Any]]) -> dict[Key, Receipt]:
    return {(row[0], row[1]): Receipt(*row[2:]) for row in rows}


async def read(connection: AsyncConnection, key: Key, received_at: datetime) -> RowMapping | None:
    """A check-in as it is stored; its receipt tells when it was received."""
    subject_id, check_in_id = key
    values = {"subject_id": subject_id, "check_in_id": check_in_id, "received_at": received_at}
    return (await connection.execute(_READ, values)).mappings().first()


def writing_receipts(receipts: Sequence[NewReceipt]) -> Statement:
    """Each makes its check-in id count once; a key that exists fails the transaction."""
    return Statement(_WRITE_RECEIPTS, {"rows": receipts})


def writing(check_ins: Sequence[NewCheckIn]) -> Statement:
    return Statement(_WRITE, {"rows": check_ins})


async def concerned(connection: AsyncConnection, closing: Closing) -> list[UUID]:
    """Subjects whose visits at the store of a closing it may change."""
    values = {"store": closing.store_id, "at": closing.at, "for_good": closing.is_for_good}
    return [row.subject_id for row in await connection.execute(_CONCERNED, values)]


async def fixes_since(
    connection: AsyncConnection, late: Mapping[UUID, datetime], gap: timedelta
) -> dict[UUID, list[Fix]]:
    """Per subject the stored fixes from the episode of its first late fix on, in order.

    Those that came too late to count are left out.
    """
    values = {"subjects": list(late), "firsts": list(late.values()), "gap": gap}
    fixes: dict[UUID, list[Fix]] = {subject: [] for subject in late}
    for row in await connection.execute(_FIXES_SINCE, values):
        fix = Fix(
            row.check_in_id,
            row.occurred_at,
            row.received_at,
            frozenset(row.arrives),
            frozenset(row.tentative),
            frozenset(row.uncertain),
        )
        fixes[row.subject_id].append(fix)
    return fixes

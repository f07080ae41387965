"""The months of the timeline: a partition each, made ahead by the schema's owner.

What happened in a month without a partition stands in the default one, and moves out of it when
the month is made. Nothing is lost by being late with this.
"""

from datetime import UTC, date, datetime

from sqlalchemy import Connection, text

MONTHS_AHEAD = 6


def month_after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def partition_of(month: date) -> str:
    return f"timeline_items_{month.year:04d}_{month.month:02d}"


def ensure_months(connection: Connection, today: date, *, ahead: int = MONTHS_AHEAD) -> list[str]:
    """Make the partitions of this month and the ``ahead`` next; gives the names of new ones.

    Runs as the schema's owner, in the caller's transaction.
    """
    made = []
    month = today.replace(day=1)
    for _ in range(ahead + 1):
        exists = text("SELECT to_regclass(:name) IS NOT NULL")
        name = partition_of(month)
        if not connection.scalar(exists, {"name": f"member.{name}"}):
            _make(connection, name, month)
            made.append(name)
        month = month_after(month)
    return made


def _make(connection: Connection, name: str, month: date) -> None:
    """Names and bounds are made here from a date, hence safe to stand in the text."""
    first, end = (_midnight(day) for day in (month, month_after(month)))
    connection.execute(
        text(f"CREATE TABLE member.{name} (LIKE member.timeline_items INCLUDING ALL)")
    )
    connection.execute(
        text(f"""
            WITH moved AS (
                DELETE FROM member.timeline_items_default
                WHERE occurred_at >= :first AND occurred_at < :end RETURNING *
            )
            INSERT INTO member.{name} SELECT * FROM moved
        """),
        {"first": first, "end": end},
    )
    connection.execute(
        text(f"""
            ALTER TABLE member.timeline_items ATTACH PARTITION member.{name}
            FOR VALUES FROM ('{first.isoformat()}') TO ('{end.isoformat()}')
        """)
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

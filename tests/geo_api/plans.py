"""How many statements a request takes, and how PostgreSQL plans one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from sqlalchemy import TextClause, event, text
from sqlalchemy.ext.asyncio import AsyncConnection

_BESIDE = (
    "outbox",
    "maintenance_runs",
    "revoked_tokens",
    "advisory",
    "book_version",
    "SKIP LOCKED",
)
"""In statements of what runs beside the requests."""


@contextmanager
def statements(app: FastAPI) -> Iterator[list[str]]:
    """The statements on tables of schema ``geo`` that requests send meanwhile."""
    engine = app.state.database.engine.sync_engine
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        statement = arguments[2]
        if "geo." in statement and not any(name in statement for name in _BESIDE):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def plan(
    connection: AsyncConnection, statement: TextClause, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The nodes of the plan for any values, outermost first; scans and sorts only if need be."""
    for dear in ("seqscan", "bitmapscan", "sort"):
        await connection.execute(text(f"SET LOCAL enable_{dear} = off"))
    await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    explain = text(f"EXPLAIN (FORMAT JSON) {statement.text}")
    [found] = await connection.scalar(explain, values)
    return [*_nodes(found["Plan"])]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)

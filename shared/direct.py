"""The short way to PostgreSQL, for the one path that counts microseconds.

SQLAlchemy's asynchronous execution costs about 0.25 ms of processor time per statement, on top of
what the driver needs. A group of check-ins runs some fifteen constant statements, so it takes its
connection from the same pool and hands them to asyncpg itself. Statements stay SQLAlchemy
``text`` with named parameters, compiled once; repositories do not notice the difference.
"""

from collections import namedtuple
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
from sqlalchemy import TextClause
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
_compiled: dict[TextClause, tuple[str, Sequence[str]]] = {}
_row_types: dict[tuple[str, ...], Any] = {}


@dataclass(frozen=True, slots=True)
class Rows:
    """A result: iterate for rows with attributes, or ask for mappings."""

    records: Sequence["asyncpg.Record"]

    def __iter__(self) -> Iterator[Any]:
        if not self.records:
            return iter(())
        names = tuple(self.records[0].keys())
        row_type = _row_types.get(names)
        if row_type is None:
            row_type = _row_types[names] = namedtuple("Row", names)  # noqa: PYI024 - made at run time
        return (row_type(*record) for record in self.records)

    def all(self) -> list[Any]:
        return list(self)

    def mappings(self) -> Iterable[Mapping[str, Any]]:
        return cast("Iterable[Mapping[str, Any]]", self.records)


@dataclass(frozen=True, slots=True)
class Direct:
    """Executes ``text`` statements with named parameters on a driver connection."""

    driver: "asyncpg.Connection[asyncpg.Record]"

    async def execute(
        self, statement: TextClause, parameters: Mapping[str, Any] | None = None
    ) -> Rows:
        """Raises what asyncpg raises; its errors carry ``sqlstate``."""
        sql, names = _compiled.get(statement) or _compile(statement)
        values = parameters or {}
        return Rows(await self.driver.fetch(sql, *[values[name] for name in names]))


@asynccontextmanager
async def direct(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction on a pooled connection: committed at the end, rolled back on an exception.

    What is given answers ``execute`` as an AsyncConnection does, for ``text`` statements only.
    """
    async with engine.connect() as pooled:
        driver = (await pooled.get_raw_connection()).driver_connection
        assert driver is not None  # noqa: S101 - a checked-out connection has its driver's
        try:
            async with driver.transaction():
                yield cast("AsyncConnection", Direct(driver))
        finally:
            if driver.is_closed():
                await pooled.invalidate()


def _compile(statement: TextClause) -> tuple[str, Sequence[str]]:
    """``:name`` becomes ``$1``; the names in the order of their numbers. Remembered."""
    compiled = statement.compile(dialect=_DIALECT)
    entry = str(compiled), tuple(compiled.positiontup or ())
    _compiled[statement] = entry
    return entry

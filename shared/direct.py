"""The short way to PostgreSQL, for the one path that counts microseconds.

SQLAlchemy's asynchronous execution costs about 0.25 ms of processor time per statement, on top of
what the driver needs. Groups of check-ins and the feed run a few constant statements thousands of
times, so they keep a connection of their own and hand them to asyncpg itself. Statements stay
SQLAlchemy ``text`` with named parameters, compiled once; repositories do not notice the
difference.
"""

import re
from collections import namedtuple
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import asyncpg
import orjson
from sqlalchemy import TextClause
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.connecting import connect
from shared.db import CONNECT_TIMEOUT_S, Database, driver_address, session_settings

_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
_NUMBER = re.compile(r"\$(\d+)")
_compiled: dict[TextClause, tuple[str, Sequence[str]]] = {}
_combined: dict[tuple[TextClause, ...], str] = {}
_gathered: dict[tuple[TextClause, ...], str] = {}
_row_types: dict[tuple[str, ...], Any] = {}

if TYPE_CHECKING:
    Driver = asyncpg.Connection[asyncpg.Record]


class NotCommitted(Exception):  # noqa: N818 - says what happened
    """An error in the transaction was passed over, so that all of it was rolled back."""


class Statement(NamedTuple):
    """A ``text`` with the values of its named parameters, not run yet."""

    text: TextClause
    values: Mapping[str, Any]


RowsOf = Sequence[tuple[Any, ...]]
"""Of one query among several: the columns in the order in which it names them."""


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

    driver: "Driver"

    async def execute(
        self, statement: TextClause, parameters: Mapping[str, Any] | None = None
    ) -> Rows:
        """Raises what asyncpg raises; its errors carry ``sqlstate``."""
        sql, names = _compiled.get(statement) or _compile(statement)
        values = parameters or {}
        return Rows(await self.driver.fetch(sql, *[values[name] for name in names]))


async def run_together(connection: AsyncConnection, statements: Sequence[Statement]) -> None:
    """Run writes that give nothing back: on a direct connection as one statement, in one trip.

    They must be independent: each sees the tables as they were before all of them, and no two
    may write the same row. None of them may begin with ``WITH``.
    """
    direct = cast("AsyncConnection | Direct", connection)
    if not isinstance(direct, Direct):
        for statement in statements:
            await direct.execute(statement.text, statement.values)
    elif statements:
        sql = _combine(tuple(statement.text for statement in statements))
        await direct.driver.fetch(sql, *_values(statements))


async def read_together(
    connection: AsyncConnection, statements: Sequence[Statement]
) -> list[RowsOf]:
    """Run queries that see the same moment, and give the rows of each, in one trip.

    No query may have a column named ``q0``, ``q1``, ….
    """
    direct = cast("AsyncConnection | Direct", connection)
    if isinstance(direct, Direct):
        sql = _gather(tuple(statement.text for statement in statements))
        records = await direct.driver.fetch(sql, *_values(statements))
        return _sorted_out(records, len(statements))
    found = [await direct.execute(statement.text, statement.values) for statement in statements]
    return [[tuple(row) for row in rows] for rows in found]


@dataclass(slots=True)
class OwnConnection:
    """A connection outside of any pool, opened when first needed and again after it broke.

    ``url`` is that of the service's engine, ``settings`` are more settings of the session than
    every connection has. One transaction at a time.
    """

    url: str
    settings: Mapping[str, str] = field(default_factory=dict)
    _driver: "Driver | None" = field(default=None, init=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back on an exception.

        What is given answers ``execute`` as an AsyncConnection does, for ``text`` statements only.
        Raises what asyncpg raises when the database cannot be reached, NotCommitted where an
        error within was caught and nothing could be committed.
        """
        driver = await self._opened()
        try:
            await driver.execute("BEGIN")
            yield cast("AsyncConnection", Direct(driver))
            await _commit(driver)
        except BaseException:
            self._driver = None
            await _roll_back(driver)
            self._driver = None if driver.is_closed() else driver
            raise

    @asynccontextmanager
    async def one_by_one(self) -> AsyncIterator[AsyncConnection]:
        """The same with each statement a transaction of its own, which saves two trips."""
        driver = await self._opened()
        try:
            yield cast("AsyncConnection", Direct(driver))
        except BaseException:
            self._driver = None
            driver.terminate()
            raise

    async def close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close(timeout=CONNECT_TIMEOUT_S)

    async def _opened(self) -> "Driver":
        if self._driver is None or self._driver.is_closed():
            self._driver = await self._open()
        return self._driver

    async def _open(self) -> "Driver":
        driver: Driver = await connect(
            driver_address(self.url),
            timeout=CONNECT_TIMEOUT_S,
            server_settings={**session_settings(), **self.settings},
        )
        for name in ("json", "jsonb"):
            await driver.set_type_codec(
                name,
                schema="pg_catalog",
                encoder=lambda value: orjson.dumps(value).decode(),
                decoder=orjson.loads,
            )
        return driver


@asynccontextmanager
async def borrowed(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction like that of ``OwnConnection``, on a connection of the pool.

    Raises what SQLAlchemy would.
    """
    async with database.engine.connect() as pooled:
        driver: Driver = cast("Any", await pooled.get_raw_connection()).driver_connection
        try:
            await driver.execute("BEGIN")
            yield cast("AsyncConnection", Direct(driver))
            await _commit(driver)
        except BaseException as error:
            await _roll_back(driver)
            is_lost = driver.is_closed()
            if is_lost:
                await pooled.invalidate()
            if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
                raise DBAPIError(
                    None, None, error, hide_parameters=True, connection_invalidated=is_lost
                ) from error
            raise


async def _commit(driver: "Driver") -> None:
    """After an error PostgreSQL rolls back instead, and says so only in its answer."""
    if await driver.execute("COMMIT") != "COMMIT":
        raise NotCommitted


async def _roll_back(driver: "Driver") -> None:
    """Whatever state it is in: a connection that cannot roll back is given up."""
    try:
        await driver.execute("ROLLBACK")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        driver.terminate()


def _compile(statement: TextClause) -> tuple[str, Sequence[str]]:
    """``:name`` becomes ``$1``; the names in the order of their numbers. Remembered."""
    compiled = statement.compile(dialect=_DIALECT)
    entry = str(compiled), tuple(compiled.positiontup or ())
    _compiled[statement] = entry
    return entry


def _combine(statements: tuple[TextClause, ...]) -> str:
    """``WITH w0 AS (…), w1 AS (…) SELECT``, with parameters numbered through. Remembered."""
    known = _combined.get(statements)
    if known is None:
        parts = [f"w{n} AS ({sql})" for n, sql in enumerate(_numbered_through(statements))]
        known = _combined[statements] = f"WITH {', '.join(parts)} SELECT"
    return known


def _gather(statements: tuple[TextClause, ...]) -> str:
    """The rows of all queries, each with the columns of all, empty but for its own. Remembered.

    Empty columns cost next to nothing; arrays of records would be read slowly by the driver.
    ``OFFSET 0`` keeps each condition within its query, which then runs once: the planner would
    make a condition of the join of it, and ask it of every pair of rows.
    """
    known = _gathered.get(statements)
    if known is None:
        parts = [
            f"LEFT JOIN LATERAL"
            f" (SELECT true AS q{n}, s.* FROM ({sql}) AS s WHERE n = {n} OFFSET 0)"
            f" AS s{n} ON true"
            for n, sql in enumerate(_numbered_through(statements))
        ]
        numbers = ", ".join(f"({n})" for n in range(len(statements)))
        known = f"SELECT * FROM (VALUES {numbers}) AS whose (n) {' '.join(parts)}"
        _gathered[statements] = known
    return known


def _sorted_out(records: Sequence["asyncpg.Record"], queries: int) -> list[RowsOf]:
    """A query without rows still has one here, in which its own column ``q…`` is empty."""
    names = [*records[0].keys()]
    marks = [names.index(f"q{n}") for n in range(queries)]
    own = [slice(a + 1, b) for a, b in zip(marks, [*marks[1:], len(names)], strict=True)]
    found: list[list[tuple[Any, ...]]] = [[] for _ in range(queries)]
    for record in records:
        whose = record[0]
        if record[marks[whose]]:
            found[whose].append(record[own[whose]])
    return [*found]


def _numbered_through(statements: Iterable[TextClause]) -> Iterator[str]:
    taken = 0
    for statement in statements:
        sql, names = _compile(statement)
        yield _renumbered(sql, taken)
        taken += len(names)


def _values(statements: Iterable[Statement]) -> list[Any]:
    return [
        statement.values[name]
        for statement in statements
        for name in (_compiled.get(statement.text) or _compile(statement.text))[1]
    ]


def _renumbered(sql: str, taken: int) -> str:
    return _NUMBER.sub(lambda found: f"${int(found[1]) + taken}", sql)

"""A row for any table, so that a test can walk all of them, those still to come included."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from shared.feed.tables import bucket_of

MOMENT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def columns_about_people(metadata: MetaData) -> dict[str, list[str]]:
    """Of each table the columns that hold subject ids, by their names."""
    found = {
        table.name: [
            column.name
            for column in table.columns
            if "subject" in column.name and isinstance(column.type, Uuid)
        ]
        for table in metadata.sorted_tables
    }
    return {table: columns for table, columns in found.items() if columns}


def bucket_for(table: str, subject: UUID) -> dict[str, int]:
    """The outbox is looked through by bucket."""
    return {"bucket": bucket_of(subject, subject)} if table == "outbox" else {}


async def insert(connection: asyncpg.Connection, table: Table, values: Mapping[str, Any]) -> None:
    """A row with ``values``; all else that is needed is of the right type and means nothing.

    References to other tables are not looked at. A table with a rule of its own needs ``values``
    that keep it.
    """
    row = {
        column.name: values[column.name] if column.name in values else _plain(column)
        for column in table.columns
        if column.name in values or _is_needed(column)
    }
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    names = ", ".join(f'"{name}"' for name in row)
    statement = f"INSERT INTO {table.fullname} ({names}) VALUES ({places})"
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement, *row.values())


async def count(connection: asyncpg.Connection, table: Table, column: str, who: UUID) -> int:
    statement = f"SELECT count(*) FROM {table.fullname} WHERE {column} = $1"
    found: int = await connection.fetchval(statement, who)
    return found


def _is_needed(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None and column.identity is None


def _plain(column: Column[Any]) -> Any:
    for kind, make in _PLAIN.items():
        if isinstance(column.type, kind):
            return make()
    raise AssertionError(f"say which value {column} takes")


_PLAIN: dict[type, Any] = {
    Uuid: uuid4,
    DateTime: lambda: MOMENT,
    Date: MOMENT.date,
    Boolean: lambda: False,
    SmallInteger: lambda: 1,
    BigInteger: lambda: 1,
    Integer: lambda: 1,
    Float: lambda: 1.0,
    LargeBinary: lambda: uuid4().bytes,
    JSON: lambda: orjson.dumps({}).decode(),
    ARRAY: list,
    Text: lambda: uuid4().hex,
}

"""The database: one engine a process, one transaction a request, committed before the answer."""

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from sqlalchemy import MetaData, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from shared.connecting import connect

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraint names are derived, so that a migration and a model cannot name one thing twice."""

STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 5_000
CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 10
IDLE_S = 0.02


def schema_metadata(schema: str) -> MetaData:
    return MetaData(schema=schema, naming_convention=NAMING)


@dataclass(frozen=True, slots=True)
class Database:
    """A pool of connections to one schema's role."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    @classmethod
    def connect(cls, url: str, *, pool_size: int = 16) -> "Database":
        """``url`` is ``postgresql+asyncpg://role:password@host:port/database``; nothing is opened yet."""
        engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,  # opening a connection costs more than waiting for one
            pool_timeout=POOL_TIMEOUT_S,
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                "async_creator_fn": connect,
                "server_settings": session_settings(),
                "timeout": CONNECT_TIMEOUT_S,
            },
        )
        _ping_after_idling(engine)
        return cls(engine, async_sessionmaker(engine, expire_on_commit=False))

    @property
    def url(self) -> str:
        """What it was connected by, password included."""
        return self.engine.url.render_as_string(hide_password=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session in a transaction: committed at the end, rolled back on an exception."""
        async with self.sessions.begin() as session:
            yield session

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A bare connection in a transaction, for paths that write many rows by ``unnest``."""
        async with self.engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self.engine.dispose()


def _ping_after_idling(engine: AsyncEngine) -> None:
    """Test a pooled connection before use, but only one that has rested for ``IDLE_S``.

    A busy pool hears of a lost connection at once; a test before every use (``pool_pre_ping``)
    costs three round trips each time.
    """
    pool, dialect = engine.sync_engine.pool, engine.sync_engine.dialect

    @event.listens_for(pool, "checkin")
    def note(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(pool, "checkout")
    def test(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) < IDLE_S:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("lost while it rested") from error  # the pool takes another


def driver_address(url: str) -> str:
    """The engine's ``url`` as the driver alone reads it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def session_settings() -> Mapping[str, str]:
    """What every connection of a service is opened with."""
    return {
        "timezone": "UTC",
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": "60000",
    }


async def _request_session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.transaction() as session:
        yield session


Session = Annotated[AsyncSession, Depends(_request_session, scope="function")]
"""One transaction for the request; function scope commits it before the response is sent."""

Row = Mapping[str, Any]

"""A connection to the database of an installation, and what to do where there is none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from cli.database import Database
from cli.output import CommandFailed


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection for the block. Raises CommandFailed when there is no server or no way in."""
    try:
        connection = await asyncpg.connect(database.url, timeout=30)
    except (OSError, TimeoutError) as error:
        raise CommandFailed(
            f"No database server answers at {database.place}.", "Is it started and reachable?"
        ) from error
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise CommandFailed(
            f"{database.place} does not let {database.user} in: {error}.",
            "Look at the user and the password in SOLOMO_DATABASE_URL.",
        ) from error
    try:
        yield connection
    finally:
        await connection.close()

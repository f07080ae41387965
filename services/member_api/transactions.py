"""Transactions that are tried again when two of them stood in each other's way."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from shared.db import Database
from shared.direct import borrowed
from shared.errors import Unavailable

T = TypeVar("T")
S = TypeVar("S")

ATTEMPTS = 6
_LOST_A_RACE = frozenset({"40P01", "40001"})
_FIRST_PAUSE_S = 0.01


class Contended(Exception):  # noqa: N818 - a whole phrase, like the refusals
    """What was read before locking had changed by the time it was locked: begin again."""


async def in_transaction(database: Database, act: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Run ``act`` in a transaction of its own and commit; again after a deadlock or Contended.

    ``act`` must have no effect outside its session. Raises Unavailable after six attempts.
    """
    return await _again(database.transaction, act)


async def in_direct_transaction(
    database: Database, act: Callable[[AsyncConnection], Awaitable[T]]
) -> T:
    """The same for an ``act`` that executes ``text`` statements only, the short way."""
    return await _again(partial(borrowed, database), act)


async def _again(
    begin: Callable[[], AbstractAsyncContextManager[S]], act: Callable[[S], Awaitable[T]]
) -> T:
    for attempt in range(ATTEMPTS):
        try:
            async with begin() as transaction:
                return await act(transaction)
        except Contended:
            pass
        except DBAPIError as error:
            if sqlstate(error) not in _LOST_A_RACE:
                raise
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, guards nothing
        await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt * jitter)
    raise Unavailable("Others keep changing the same people; send the same request again.")


def sqlstate(error: DBAPIError) -> str:
    """The five characters PostgreSQL gives an error, or nothing."""
    return str(getattr(error.orig, "sqlstate", None) or "")

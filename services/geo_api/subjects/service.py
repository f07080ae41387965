"""Locking subjects so that an erasure is never forgotten, whoever makes the row anew."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.subjects import repository
from services.geo_api.subjects.domain import SubjectState
from shared.direct import RowsOf, Statement


def buried_name(key: bytes, subject_id: UUID) -> bytes:
    """The hash, under the identity key, by which an erased subject is remembered."""
    return hmac.digest(key, b"tombstone" + subject_id.bytes, hashlib.sha256)


async def lock(
    connection: AsyncConnection, key: bytes, whose: Iterable[UUID], now: datetime
) -> dict[UUID, SubjectState]:
    """Lock subjects until the end of the transaction, making the rows of unknown ones.

    A new row is looked up among the tombstones, since an erasure leaves no row. Who keeps a new
    row writes ``erased_at`` into it (``repository.touching``), who does not removes it
    (``repository.forget``).
    """
    states, _ = await lock_and_read(connection, key, whose, now, ())
    return states


async def lock_and_read(
    connection: AsyncConnection,
    key: bytes,
    whose: Iterable[UUID],
    now: datetime,
    beside: Sequence[Statement],
) -> tuple[dict[UUID, SubjectState], list[RowsOf]]:
    """``lock``, and the rows of each query of ``beside``, read under the lock in the same trip."""
    states, others = await repository.lock_and_read(connection, whose, now, beside)
    new = [subject for subject, state in states.items() if state.is_new]
    for subject, erased_at in (await erasures(connection, key, new)).items():
        states[subject] = states[subject].erased(erased_at)
    return states, others


async def erasures(
    connection: AsyncConnection, key: bytes, subjects: Iterable[UUID]
) -> dict[UUID, datetime]:
    """When those of ``subjects`` that were erased were erased for the last time."""
    buried = {buried_name(key, subject): subject for subject in subjects}
    found = await repository.erasures(connection, list(buried))
    return {buried[name]: erased_at for name, erased_at in found.items()}

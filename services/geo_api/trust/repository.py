"""Who else reported exactly the same coordinates today."""

import hashlib
import hmac
import struct
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.direct import RowsOf, Statement

KEPT = timedelta(hours=24)
"""So long a sighting is remembered."""

_MOST_OTHERS = 16
_HASH_BYTES = 16

_ASK = text("""
    SELECT s.pair_hash, other.subject_id
    FROM (SELECT DISTINCT unnest(CAST(:hashes AS bytea[])) AS pair_hash) AS s
    CROSS JOIN LATERAL (
        SELECT f.subject_id FROM geo.fix_sightings AS f
        WHERE f.pair_hash = s.pair_hash ORDER BY f.subject_id LIMIT :most
    ) AS other
""")

# A row is its subject's own, and whoever writes it holds the subject's lock: nobody waits here.
_NOTE = text("""
    INSERT INTO geo.fix_sightings (pair_hash, subject_id, received_at)
    SELECT pair_hash, subject_id, :now
    FROM unnest(CAST(:hashes AS bytea[]), CAST(:subjects AS uuid[])) AS s (pair_hash, subject_id)
    ON CONFLICT (pair_hash, subject_id) DO NOTHING
""")

_PRUNE = text("""
    DELETE FROM geo.fix_sightings WHERE ctid IN (
        SELECT ctid FROM geo.fix_sightings WHERE received_at < :horizon LIMIT :most
    )
""")

Pair = tuple[bytes, UUID]
"""(hash of the pair, subject)"""


def pair_hash(key: bytes, day: int, latitude: float, longitude: float) -> bytes:
    """What stands for an exact pair on a day (its proleptic ordinal), under the identity key.

    Without the key nobody can try coordinates out, and no two days can be joined.
    """
    message = b"fix" + struct.pack("<Idd", day, latitude, longitude)
    return hmac.digest(key, message, hashlib.sha256)[:_HASH_BYTES]


def asking(hashes: Collection[bytes]) -> Statement:
    """A query for who was seen at pairs, which ``sightings`` reads.

    Of very many others sixteen are enough to know.
    """
    return Statement(_ASK, {"hashes": list(hashes), "most": _MOST_OTHERS})


def sightings(rows: RowsOf, beside: Iterable[Pair]) -> dict[bytes, set[UUID]]:
    """Who was seen at a pair, by its hash: before, and in the group that asks.

    Two groups that commit at the same moment do not see each other; whoever comes next sees both.
    """
    seen: dict[bytes, set[UUID]] = {}
    for hashed, subject in chain(rows, beside):
        seen.setdefault(hashed, set()).add(subject)
    return seen


def noting(pairs: Collection[Pair], now: datetime) -> list[Statement]:
    """Remember who was seen at which pairs."""
    if not pairs:
        return []
    hashes, subjects = zip(*set(pairs), strict=True)
    return [Statement(_NOTE, {"hashes": [*hashes], "subjects": [*subjects], "now": now})]


async def prune(connection: AsyncConnection, now: datetime, most: int) -> int:
    """Forget at most ``most`` sightings that are old enough; how many they were."""
    values = {"horizon": now - KEPT, "most": most}
    return (await connection.execute(_PRUNE, values)).rowcount

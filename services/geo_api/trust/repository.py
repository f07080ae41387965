"""Who else reported exactly the same coordinates today: noted and asked by one statement."""

import hashlib
import hmac
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

KEPT = timedelta(hours=24)
"""So long a sighting is remembered."""

_MOST_OTHERS = 16
_HASH_BYTES = 16

# What is noted here is not seen by the question beside it, which reads what was there before.
# A row is its subject's own, and whoever writes it holds the subject's lock: nobody waits here.
_NOTE_AND_ASK = text("""
    WITH seen AS (
        SELECT * FROM unnest(CAST(:hashes AS bytea[]), CAST(:subjects AS uuid[]))
            AS s (pair_hash, subject_id)
    ), noted AS (
        INSERT INTO geo.fix_sightings (pair_hash, subject_id, received_at)
        SELECT pair_hash, subject_id, :now FROM seen
        ON CONFLICT (pair_hash, subject_id) DO NOTHING
    )
    SELECT s.pair_hash, other.subject_id
    FROM (SELECT DISTINCT pair_hash FROM seen) AS s
    CROSS JOIN LATERAL (
        SELECT f.subject_id FROM geo.fix_sightings AS f
        WHERE f.pair_hash = s.pair_hash ORDER BY f.subject_id LIMIT :most
    ) AS other
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


async def note_and_ask(
    connection: AsyncConnection, pairs: Sequence[Pair], now: datetime
) -> dict[bytes, set[UUID]]:
    """Remember who was seen at which pairs; who was seen there, these and others, by hash.

    Two groups that commit at the same moment do not see each other; whoever comes next sees both.
    Of very many others sixteen are enough to know.
    """
    hashes, subjects = zip(*set(pairs), strict=True)
    values = {"hashes": [*hashes], "subjects": [*subjects], "now": now, "most": _MOST_OTHERS}
    seen: dict[bytes, set[UUID]] = {}
    for hashed, subject in pairs:
        seen.setdefault(hashed, set()).add(subject)
    for row in await connection.execute(_NOTE_AND_ASK, values):
        seen[row.pair_hash].add(row.subject_id)
    return seen


async def prune(connection: AsyncConnection, now: datetime, most: int) -> int:
    """Forget at most ``most`` sightings that are old enough; how many they were."""
    values = {"horizon": now - KEPT, "most": most}
    return (await connection.execute(_PRUNE, values)).rowcount

"""Giving a person a token of its own."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.service import lock
from services.geo_api.subjects.telling import identity_observed
from shared.auth import Role, mint_role_token
from shared.direct import run_together
from shared.feed.outbox import enqueue
from shared.feed.tables import FeedTables
from shared.identity import Identity, subject_id
from shared.keys import GeoKeys

VALID_FOR = timedelta(hours=1)


async def open_session(
    connection: AsyncConnection,
    tables: FeedTables,
    keys: GeoKeys,
    identity: Identity,
    now: datetime,
) -> tuple[str, datetime]:
    """A member's token for the person behind ``identity`` and when it expires.

    The identity is told to member_api the first time, sealed; it says nothing of whereabouts.
    """
    subject = subject_id(keys.identity, identity)
    state = (await lock(connection, keys.identity, [subject], now))[subject]
    if not state.identity_told:
        seen = subjects.Seen(subject, told=True, erased_at=state.erased_at)
        await run_together(connection, subjects.touching([seen]))
        await enqueue(connection, tables, [identity_observed(keys.sealing, subject, identity, now)])
    return member_token(keys, subject, now)


def member_token(keys: GeoKeys, subject: UUID, now: datetime) -> tuple[str, datetime]:
    """A token by which a subject acts for itself, and when it expires."""
    ttl_s = int(VALID_FOR.total_seconds())
    token = mint_role_token(keys.signing, Role.MEMBER, str(subject), ttl_s, subject_id=subject)
    return token, datetime.fromtimestamp(int(now.timestamp()) + ttl_s, UTC)

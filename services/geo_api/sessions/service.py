"""Giving a person, whom a server vouches for, a token of its own."""

import base64
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.feeding import tell
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.service import lock
from shared.auth import Role, mint_role_token
from shared.contracts.events import EventType
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
        told = subjects.touching([seen])
        await run_together(connection, told)
        parts = [identity.namespace.value, identity.issuer, identity.value]
        sealed = base64.b64encode(keys.sealing.seal(orjson.dumps(parts))).decode()
        event = tell(
            EventType.IDENTITY_OBSERVED,
            subject,
            "1",
            time=now,
            received_at=now,
            data={"sealed": sealed},
        )
        await enqueue(connection, tables, [event])
    ttl_s = int(VALID_FOR.total_seconds())
    token = mint_role_token(keys.signing, Role.MEMBER, str(subject), ttl_s, subject_id=subject)
    return token, datetime.fromtimestamp(int(now.timestamp()) + ttl_s, UTC)

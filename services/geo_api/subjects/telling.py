"""Telling member_api who a subject is, which happens once."""

import base64
from datetime import datetime
from uuid import UUID

import orjson

from services.geo_api.feeding import tell
from shared.contracts.events import EventType
from shared.feed.outbox import PreparedEvent
from shared.identity import Identity
from shared.sealing import SealingKey


def identity_observed(
    sealing: SealingKey, subject_id: UUID, identity: Identity, at: datetime
) -> PreparedEvent:
    """The identity behind a subject, readable by member_api alone.

    Whoever tells it notes so in the same transaction (``subjects.repository.touching``, ``told``).
    """
    parts = [identity.namespace.value, identity.issuer, identity.value]
    sealed = base64.b64encode(sealing.seal(orjson.dumps(parts))).decode()
    return tell(
        EventType.IDENTITY_OBSERVED,
        subject_id,
        "1",
        time=at,
        received_at=at,
        data={"sealed": sealed},
    )

"""How geo_api words its facts: one place that knows the form of an outgoing event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from shared.contracts.events import SCHEMA_VERSION, EventType
from shared.feed.outbox import PreparedEvent
from shared.ids import event_id

SOURCE = "/geo_api"


def tell(
    kind: EventType,
    subject_id: UUID | None,
    natural_key: str,
    *,
    time: datetime,
    received_at: datetime,
    data: Mapping[str, Any],
    store_id: str | None = None,
    revision: int = 1,
    retracted: bool = False,
) -> PreparedEvent:
    """A fact ready for the outbox; see ``docs/contracts.md`` for natural keys and ``data``.

    Ids in ``data`` are best given as texts: one of the driver's kind costs orjson a call of Python.
    """
    identifier = event_id(subject_id, kind.value, natural_key)
    payload = orjson.dumps(
        {
            "specversion": "1.0",
            "schemaversion": SCHEMA_VERSION,
            "id": str(identifier),
            "source": SOURCE,
            "type": kind.value,
            "subject": None if subject_id is None else str(subject_id),
            "time": time,
            "received_at": received_at,
            "store_id": store_id,
            "revision": revision,
            "retracted": retracted,
            "data": data,
        },
        default=str,  # for asyncpg's UUIDs, a subclass that orjson does not take by itself
    )
    return PreparedEvent(identifier, subject_id, kind.value, payload)

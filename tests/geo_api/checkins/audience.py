"""What member_api tells geo_api, worded and signed as member_api does it."""

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.auth import Role, mint_role_token
from shared.clock import utc_now
from shared.contracts.events import EventType
from shared.ids import event_id
from shared.keys import load_signing_key


class MemberVoice:
    """Speaks to geo_api in the name of member_api."""

    def __init__(self, geo: httpx.AsyncClient, keys: Path) -> None:
        token = mint_role_token(load_signing_key(keys / "member"), Role.SERVICE, "member_api", 60)
        self._geo = geo
        self._headers = {"Authorization": f"Bearer {token}"}

    async def tell(self, *events: dict[str, Any]) -> list[str]:
        """The status of each event."""
        response = await self._geo.post(
            "/v1/audience/batch", json={"events": list(events)}, headers=self._headers
        )
        assert response.status_code == 200, response.text
        return [result["status"] for result in response.json()["results"]]


def facts(subject: UUID, revision: int = 1, **changes: Any) -> dict[str, Any]:
    """``audience_changed`` of a fan without siblings."""
    data = {"person_id": str(uuid4()), "siblings": [str(subject)], "lifecycle": "fan", **changes}
    return _event(EventType.AUDIENCE_CHANGED, subject, "audience", revision, data)


def consent(state: str, at: datetime) -> dict[str, Any]:
    """Facts about the consent to a history of visits."""
    held = {"state": state, "version": "2026-11", "at": at.isoformat()}
    return {"consents": {"visit_history": held}}


def erasure(subject: UUID, at: datetime) -> dict[str, Any]:
    data = {"erased_at": at.isoformat()}
    return _event(EventType.SUBJECT_ERASED, subject, at.isoformat(), 1, data)


def _event(
    kind: EventType, subject: UUID, natural_key: str, revision: int, data: dict[str, Any]
) -> dict[str, Any]:
    now = utc_now().isoformat()
    return {
        "specversion": "1.0",
        "schemaversion": 1,
        "id": str(event_id(subject, kind.value, natural_key)),
        "source": "/member_api",
        "type": kind.value,
        "subject": str(subject),
        "time": now,
        "received_at": now,
        "revision": revision,
        "data": data,
    }

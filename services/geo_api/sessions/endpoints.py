"""HTTP of members' sessions."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from services.geo_api.sessions.service import open_session
from services.geo_api.subjects.schemas import SubjectIn
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Malformed
from shared.identity import normalise
from shared.problems import documented
from shared.wire import WireModel

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


class SessionIn(WireModel):
    """The person to whom the caller, who knows it, gives a session."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"subject": {"namespace": "app_user", "issuer": "demo", "value": "42"}}]
        }
    )

    subject: SubjectIn


class SessionOut(BaseModel):
    token: str
    token_type: str
    expires_at: datetime


@router.post("", status_code=201, responses=documented(Malformed))
async def create_session(
    request: Request,
    body: SessionIn,
    session: Session,
    _caller: Annotated[Principal, allow(Role.SERVER)],
) -> SessionOut:
    """Give the person's app a token of role member, valid for an hour."""
    state = request.app.state
    named = body.subject
    identity = normalise(named.namespace, named.issuer, named.value, at="/subject")
    token, expires_at = await open_session(
        await session.connection(), state.feed_tables, state.keys, identity, state.clock()
    )
    return SessionOut(token=token, token_type="Bearer", expires_at=expires_at)  # noqa: S106 - the scheme

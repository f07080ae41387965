"""HTTP of members' sessions."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from services.geo_api.sessions import service
from services.geo_api.settings import LOGINS_AT_ACCOUNT, LOGINS_FROM_ADDRESS
from services.geo_api.subjects.schemas import SubjectIn
from services.geo_api.wechat.accounts.domain import AccountUnknown
from services.geo_api.wechat.accounts.troubles import (
    AccountNotInOrder,
    NotOfThisAccount,
    WeChatAway,
)
from services.geo_api.wechat.mini.domain import Blocked
from services.geo_api.wechat.mini.logins import log_in
from services.geo_api.wechat.mini.schemas import WeChatLogin
from services.geo_api.wechat.tools import WeChatTools
from shared.access import PRINCIPAL, public
from shared.addresses import caller_of
from shared.auth import Principal, Role
from shared.errors import Forbidden, Malformed, TooManyRequests, Unauthenticated
from shared.identity import normalise
from shared.problems import documented
from shared.wire import WireModel

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


class SessionIn(WireModel):
    """The person to whom the caller, who knows it, gives a session; or a login of WeChat's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"subject": {"namespace": "app_user", "issuer": "demo", "value": "42"}},
                {"wechat": {"account_id": "shop-mini", "code": "0a1LoginCode2b3"}},
            ]
        }
    )

    subject: SubjectIn | None = None
    wechat: WeChatLogin | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.subject is None) == (self.wechat is None):
            raise PydanticCustomError("one_of_both", "needs either subject or wechat")
        return self


class SessionOut(BaseModel):
    token: str
    token_type: str
    expires_at: datetime


def _require_server(request: Request) -> None:
    """That a server's token was sent. Raises Unauthenticated and Forbidden."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("A session for a subject needs a server token that vouches for it.")
    principal: Principal = request.app.state.verifier.verify(token.strip())
    request.scope[PRINCIPAL] = principal
    if principal.role is not Role.SERVER:
        raise Forbidden(f"A {principal.role} token cannot do this; use one of role server.")
    request.app.state.limiter.take("key", f"{principal.role}:{principal.name}")


@router.post(
    "",
    status_code=201,
    dependencies=[public()],
    openapi_extra={"security": [{"bearer": []}, {}]},
    responses=documented(
        Malformed,
        Unauthenticated,
        Forbidden,
        Blocked,
        AccountUnknown,
        NotOfThisAccount,
        TooManyRequests,
        WeChatAway,
        AccountNotInOrder,
    ),
)
async def create_session(request: Request, body: SessionIn) -> SessionOut:
    """Give the person's app a token of role member, valid for an hour.

    A `subject` is whom a server vouches for, so it needs a server token. `wechat` needs none: the
    code of wx.login says who it is, and a token that comes along is passed over. Such logins are
    limited by address and by account, and a code counts once: whatever became of the answer, call
    wx.login again.
    """
    state = request.app.state
    if body.wechat is not None:
        token, expires_at = await _by_wechat(request, body.wechat)
    else:
        assert body.subject is not None  # noqa: S101 - SessionIn has one of both
        _require_server(request)
        named = body.subject
        identity = normalise(named.namespace, named.issuer, named.value, at="/subject")
        async with state.database.begin() as connection:
            token, expires_at = await service.open_session(
                connection, state.feed_tables, state.keys, identity, state.clock()
            )
    return SessionOut(token=token, token_type="Bearer", expires_at=expires_at)  # noqa: S106 - the scheme


async def _by_wechat(request: Request, login: WeChatLogin) -> tuple[str, datetime]:
    """Raises TooManyRequests, and what ``log_in`` raises."""
    state = request.app.state
    tools: WeChatTools = state.wechat
    address = caller_of(request, tools.settings.proxies)
    state.limiter.take(LOGINS_FROM_ADDRESS, address)
    account = tools.accounts.find(login.account_id)
    state.limiter.take(LOGINS_AT_ACCOUNT, account.account_id)
    person = await log_in(tools, account, login.code)
    return service.member_token(state.keys, person, tools.clock())

"""The callback: where WeChat asks whether we are we, and pushes."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Request, Response
from fastapi.routing import APIRoute

from services.geo_api.wechat.accounts.domain import AccountUnknown, LiveAccount
from services.geo_api.wechat.pushes import metrics
from services.geo_api.wechat.pushes.inbox import NotKept
from services.geo_api.wechat.pushes.reading import read_request
from shared.access import public
from shared.errors import TooLarge
from shared.ids import SLUG_PATTERN
from shared.problems import documented
from shared.wechat.callback import CallbackQuery, NotAuthentic, verify_url
from shared.wechat.documents import MAX_BODY

AccountId = Annotated[str, Path(pattern=SLUG_PATTERN, description="as it was put")]
_Endpoint = Callable[[Request, str], Coroutine[Any, Any, Response]]

_log = structlog.get_logger(__name__)


class CallbackRoute(APIRoute):
    """Serves the endpoint without FastAPI's general machinery for parameters.

    WeChat may push thousands a second, and each says whose it is in the path alone.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: _Endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            return await endpoint(request, request.path_params["account"])

        return handle


router = APIRouter(
    prefix="/v1/wechat/{account}/callback",
    tags=["wechat"],
    dependencies=[public()],
    route_class=CallbackRoute,
)


@router.get("", response_class=Response, responses=documented(AccountUnknown))
async def verify(request: Request, account: AccountId) -> Response:
    """Answer WeChat's check of the address: the `echostr` of a request that is signed.

    An unsigned one gets 403 without a body.
    """
    found = _account(request, account)
    try:
        echo = verify_url(found.callback, CallbackQuery.of(request.query_params))
    except NotAuthentic as refusal:
        return _refused(found, refusal)
    return _plain(echo)


@router.post("", response_class=Response, responses=documented(AccountUnknown, TooLarge, NotKept))
async def receive(request: Request, account: AccountId) -> Response:
    """Take a push of WeChat's: `success` once it is committed, or known to be a repeat.

    What comes of it is done afterwards. The body is a document in the account's format and mode;
    what is not from WeChat gets 403 without a body.
    """
    state, found = request.app.state, _account(request, account)
    body = await _read_body(request)
    query = CallbackQuery.of(request.query_params)
    try:
        incoming = read_request(state.keys.identity, found, query, body, state.clock())
    except NotAuthentic as refusal:
        return _refused(found, refusal)
    await state.pushes.keep(incoming)
    return _plain("success")


def _account(request: Request, account_id: str) -> LiveAccount:
    account: LiveAccount = request.app.state.wechat.accounts.find(account_id)
    return account


async def _read_body(request: Request) -> bytes:
    """At most ``MAX_BODY`` bytes. Raises TooLarge."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge(f"WeChat's pushes have at most {MAX_BODY} bytes.", limit_bytes=MAX_BODY)
    return body


def _refused(account: LiveAccount, refusal: NotAuthentic) -> Response:
    _log.warning("push_refused", account_id=account.account_id, reason=str(refusal))
    metrics.count_refused()
    return Response(status_code=403)


def _plain(text: str) -> Response:
    return Response(text, media_type="text/plain")

"""From an HTTP request to WeChat's answer, faults included."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from wechat_sandbox import api_of_codes, api_of_messages, api_of_people, api_of_tokens
from wechat_sandbox.calls import Answer, ApiCall, Image
from wechat_sandbox.faults import Fault, FaultKind
from wechat_sandbox.refusals import Refused
from wechat_sandbox.world import Call, World

CUT = "wechat_sandbox.cut"
"""The scope's extension whose ``close`` closes the connection; where it is missing, ConnectionCut is raised."""

_MOST_BODY_BYTES = 1_048_576
_PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"

Handler = Callable[[ApiCall], Awaitable[Answer]]


class ConnectionCut(Exception):  # noqa: N818 - named as what happened
    """The connection ends here, as ordered; for servers that cannot close it themselves."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of WeChat's API."""

    method: str
    path: str
    handle: Handler


ENDPOINTS = (
    Endpoint("POST", "/cgi-bin/stable_token", api_of_tokens.stable_token),
    Endpoint("GET", "/cgi-bin/token", api_of_tokens.token),
    Endpoint("GET", "/cgi-bin/getcallbackip", api_of_tokens.callback_ips),
    Endpoint("POST", "/cgi-bin/user/info/batchget", api_of_people.describe),
    Endpoint("GET", "/sns/jscode2session", api_of_tokens.login),
    Endpoint("POST", "/wxa/business/getuserphonenumber", api_of_tokens.phone_number),
    Endpoint("POST", "/cgi-bin/message/subscribe/send", api_of_messages.send_from_mini_program),
    Endpoint(
        "POST", "/cgi-bin/message/subscribe/bizsend", api_of_messages.send_from_official_account
    ),
    Endpoint("POST", "/cgi-bin/message/custom/send", api_of_messages.send_custom_message),
    Endpoint("POST", "/wxa/getwxacodeunlimit", api_of_codes.mini_code),
    Endpoint("POST", "/cgi-bin/qrcode/create", api_of_codes.create_qr_code),
)


class HalfAnswer(Response):
    """Announces the whole of a response and sends half of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = bytes(self.body)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = content[: len(content) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await cut(scope, receive)


class NoAnswer(Response):
    """Closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del send
        await cut(scope, receive)


async def cut(scope: Scope, receive: Receive) -> None:
    """Close the connection of ``scope`` and wait until it is closed."""
    close = scope.get("extensions", {}).get(CUT, {}).get("close")
    if close is None:
        raise ConnectionCut
    close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer(world: World, endpoint: Endpoint, request: Request) -> Response:
    """WeChat's answer to one call, or the fault that was ordered in its place."""
    fault = world.faults.take(endpoint.path)
    call = await _call(world, request)
    if fault is None:
        return _respond(world, endpoint, await _try(endpoint, request, call), call, None)
    return await _meet(world, endpoint, request, call, fault)


async def _meet(
    world: World, endpoint: Endpoint, request: Request, call: ApiCall, fault: Fault
) -> Response:
    """An error never does what was asked for, slow and half answers always do, a cut as it says."""
    handled = fault.handled or fault.kind in (FaultKind.SLOW, FaultKind.HALF)
    outcome: Answer | Refused = Refused(fault.errcode)
    if handled and fault.kind is not FaultKind.ERROR:
        outcome = await _try(endpoint, request, call)
    response = _respond(world, endpoint, outcome, call, fault)
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(fault.seconds)
    elif fault.kind is FaultKind.HALF:
        return HalfAnswer(bytes(response.body), media_type=response.media_type)
    elif fault.kind is FaultKind.CUT:
        return NoAnswer()
    elif fault.kind is FaultKind.PAGE:
        return HTMLResponse(_PAGE, status_code=502)
    return response


async def _call(world: World, request: Request) -> ApiCall:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY_BYTES:
            break
    caller = request.client.host if request.client else ""
    return ApiCall(world, request.query_params, body, caller)


async def _try(endpoint: Endpoint, request: Request, call: ApiCall) -> Answer | Refused:
    if request.method != endpoint.method:
        return Refused(43001 if endpoint.method == "GET" else 43002)
    try:
        return await endpoint.handle(call)
    except Refused as refused:
        return refused


def _respond(
    world: World, endpoint: Endpoint, outcome: Answer | Refused, call: ApiCall, fault: Fault | None
) -> Response:
    rid = world.maker.next_rid()
    errcode = outcome.errcode if isinstance(outcome, Refused) else 0
    at, account_id = world.clock.stamp(), _account_of(call)
    kind = fault.kind.value if fault else None
    world.calls.append(Call(at, endpoint.path, account_id, errcode, rid, kind))
    if isinstance(outcome, Refused):
        outcome = {"errcode": errcode, "errmsg": f"{outcome.errmsg} rid: {rid}"}
    return _written(outcome, at)


def _written(outcome: Answer, at: float) -> Response:
    """With the stand-in's own time in its head, by which clients see how far theirs is off."""
    headers = {"Date": formatdate(at, usegmt=True)}
    if isinstance(outcome, Image):
        return Response(outcome.content, media_type=outcome.media_type, headers=headers)
    content = json.dumps(outcome, ensure_ascii=False, separators=(",", ":"))
    return Response(content, media_type="application/json; encoding=utf-8", headers=headers)


def _account_of(call: ApiCall) -> str | None:
    """Whose call it is, as far as the address tells, whether or not it holds."""
    accounts = call.world.accounts.values()
    app_id = call.query.get("appid")
    by_app = next((one.account_id for one in accounts if one.app_id == app_id), None)
    return by_app or call.world.tokens.owner(call.query.get("access_token", ""))

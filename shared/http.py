"""The HTTP platform under both services: limits, logs, metrics, traces, health.

One ASGI middleware does it all, since every layer costs each request:
:class:`Platform`.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import structlog
from fastapi import FastAPI
from opentelemetry.trace import Span, format_trace_id
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.access import PRINCIPAL
from shared.access_log import AccessLog
from shared.docs_page import install_docs_page
from shared.errors import FieldFault, Malformed, Refusal, TooLarge
from shared.health import install_health
from shared.logs import configure_logging, current_trace_id
from shared.media_types import JSON, unsupported
from shared.openapi import document_problems
from shared.problem_pages import install_problem_pages
from shared.problems import TRACE_ID, install_problem_handlers, internal_error, problem_response
from shared.settings import ServiceSettings
from shared.short_way import short_ways
from shared.telemetry import (
    RequestMetrics,
    Tracing,
    configured_tracing,
    finish_span,
    forget_this_process,
)
from shared.traces import Parent, new_trace_id, parse_traceparent

LARGE_BODIES = frozenset(
    {
        "/v1/check-ins/batch",
        "/v1/stores/import",
        "/v1/interactions/batch",
        "/v1/audience/batch",
    }
)
"""Paths that may be sent ``max_batch_body_bytes``; all others ``max_body_bytes``."""

APP_OPTIONS: Mapping[str, Any] = {
    "docs_url": None,
    "redoc_url": None,
    "strict_content_type": False,
    "telemetry": {"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
}
"""For ``FastAPI(...)``: its own pages load from a CDN, and its own telemetry would tell query
strings and the texts of exceptions to whatever collector the environment names. A body without a
Content-Type is taken as JSON; one that says that it is something else is refused before."""

CLIENT_GONE = 499
"""Logged where the caller hung up before there was an answer (nginx's number for it)."""

_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_NO_STORE = (b"cache-control", b"no-store")
_UNMATCHED = "(none)"

Header = tuple[bytes, bytes]

_log = structlog.get_logger(__name__)


def instrument(app: FastAPI, service: str, settings: ServiceSettings) -> None:
    """Put ``app`` on the platform; call it last in ``create_app``, with all routers included.

    Gives problem documents, ``/healthz``, ``/readyz``, ``/metrics``, ``/problems/{slug}``,
    ``/docs``, and :class:`Platform` around everything; ``app`` is made with ``APP_OPTIONS``. Checks of readiness are added to
    ``app.state.readiness`` at any time.
    """
    configure_logging(settings.log_level, settings.log_format)
    app.router.redirect_slashes = False
    install_problem_handlers(app)
    install_health(app)
    install_problem_pages(app)
    install_docs_page(app)
    document_problems(app)
    app.add_middleware(Platform, service=service, settings=settings, whole=app)


class Platform:
    """The middleware around a service.

    It gives each request a trace id (the caller's, by W3C ``traceparent``; told in the header
    ``x-trace-id``), refuses bodies over their limit (also chunked ones) or of a wrong kind and NULs in the address,
    adds security headers, turns what nobody foresaw into a bare 500, and when the answer is sent
    logs, counts and traces it under the route's template. Query strings, bodies and tokens
    go nowhere.

    ``app`` is what it stands around within the application ``whole``, whose short ways it takes.
    """

    def __init__(
        self, app: ASGIApp, service: str, settings: ServiceSettings, whole: FastAPI
    ) -> None:
        self._app = app
        self.short_ways = short_ways(whole)
        self._metrics = RequestMetrics(service)
        self._tracing: Tracing = configured_tracing(service)
        self._access_log = AccessLog(service) if settings.access_log else None
        self._small, self._large = settings.max_body_bytes, settings.max_batch_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if self._access_log is not None:
                self._access_log.flush()
            self._tracing.close()
            forget_this_process()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        length, media_type, parent = _read_headers(scope)
        span = self._tracing.start(scope["method"], parent)
        trace_id = _trace_id(span, parent)
        scope[TRACE_ID] = trace_id
        reset = current_trace_id.set(trace_id)
        answer = _Answer(send, trace_id)
        try:
            await self._pass_on(scope, receive, answer, length, media_type)
        finally:
            current_trace_id.reset(reset)
            self._tell(scope, answer.status or CLIENT_GONE, time.perf_counter() - started, span)

    async def _pass_on(
        self,
        scope: Scope,
        receive: Receive,
        answer: "_Answer",
        length: int | None,
        media_type: bytes,
    ) -> None:
        limit = self._large if scope["path"] in LARGE_BODIES else self._small
        refusal = _refused_unread(scope, length, limit, media_type)
        if refusal is not None:
            await problem_response(scope, refusal)(scope, receive, answer.send)
            return
        if length is None:
            receive = _limited(receive, limit)
        way = self.short_ways.get((scope["method"], scope["path"]))
        try:
            if way is None:
                await self._app(scope, receive, answer.send)
            else:
                await answer.send_whole(await way(scope, receive))
        except ClientDisconnect:
            return  # gone before its body was there: nobody to answer, and nothing of ours is wrong
        except Exception as error:  # noqa: BLE001 - the last resort, and it is logged
            self._metrics.count_unexpected()
            _log.exception("unexpected", route=_route(scope), method=scope["method"])
            if answer.status:
                raise _CutShort(type(error).__name__) from None
            await internal_error(scope)(scope, receive, answer.send)

    def _tell(self, scope: Scope, status: int, duration_s: float, span: Span | None) -> None:
        method, route = scope["method"], _route(scope)
        self._metrics.observe(method, route, status, duration_s)
        if span is not None:
            finish_span(span, method, route, status)
        if self._access_log is not None:
            principal = scope.get(PRINCIPAL)
            role = principal.role if principal is not None else None
            self._access_log.write(
                method=method,
                route=route,
                status=status,
                duration_s=duration_s,
                trace_id=scope[TRACE_ID],
                role=role,
            )


class _CutShort(Exception):  # noqa: N818 - ends a connection; nobody catches it
    """An answer that had begun could not be finished; holds only the type of the cause."""


class _Answer:
    """Adds our headers to an answer on its way out, and remembers its status (0: none yet)."""

    __slots__ = ("_send", "_trace_id", "status")

    def __init__(self, send: Send, trace_id: str) -> None:
        self._send = send
        self._trace_id = trace_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._with_ours(message.get("headers", ()))
        await self._send(message)

    async def send_whole(self, response: Response) -> None:
        """Of a body in one piece, without the turns that ``response`` takes to send itself."""
        self.status = response.status_code
        headers = self._with_ours(response.raw_headers)
        await self._send({"type": "http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body})

    def _with_ours(self, headers: Iterable[Header]) -> list[Header]:
        trace_id = (b"x-trace-id", self._trace_id.encode())
        whole = [*headers, *_SECURITY_HEADERS, trace_id]
        if b"cache-control" not in dict(whole):
            whole.append(_NO_STORE)
        return whole


def _read_headers(scope: Scope) -> tuple[int | None, bytes, Parent | None]:
    """Content-Length and -Type, and the caller's span; in one pass, as every request pays for it."""
    length: int | None = None
    media_type = JSON
    parent: Parent | None = None
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"content-type":
            media_type = value
        elif name == b"traceparent":
            parent = parse_traceparent(value)
    return length, media_type, parent


def _refused_unread(
    scope: Scope, length: int | None, limit: int, media_type: bytes
) -> Refusal | None:
    if length is not None and length > limit:
        return TooLarge(_over(limit), limit_bytes=limit)
    if "\0" in scope["path"]:
        return Malformed(FieldFault("path:", "holds a NUL character"))
    if b"%00" in scope["query_string"]:
        return _with_nul(scope["query_string"])
    if media_type != JSON and length != 0:
        return unsupported(scope["method"], scope["path"], media_type)
    return None


def _with_nul(query_string: bytes) -> Malformed:
    """Naming each parameter whose value holds a NUL; ``?`` where it stands elsewhere."""
    query = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    names = dict.fromkeys(name for name, value in query if "\0" in value and "\0" not in name)
    return Malformed(*(FieldFault(f"?{name}", "holds a NUL character") for name in names or [""]))


def _limited(receive: Receive, limit: int) -> Receive:
    """``receive`` for a body of unknown length. Raises TooLarge once it is over ``limit``."""
    received = 0

    async def receive_within_limit() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise TooLarge(_over(limit), limit_bytes=limit)
        return message

    return receive_within_limit


def _over(limit: int) -> str:
    return f"The body is over the limit of {limit} bytes at this address; send less at once."


def _trace_id(span: Span | None, parent: Parent | None) -> str:
    if span is not None:
        return format_trace_id(span.get_span_context().trace_id)
    return parent[0] if parent is not None else new_trace_id()


def _route(scope: Mapping[str, Any]) -> str:
    """The template of the route that matched, with the prefixes it was included under."""
    context = scope.get("fastapi", _NOTHING).get("effective_route_context")
    if context is not None:
        return str(context.path_format)
    return getattr(scope.get("route"), "path_format", _UNMATCHED)


_NOTHING: Mapping[str, Any] = {}

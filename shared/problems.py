"""Problem documents (RFC 9457): the one place that turns a refusal into an HTTP answer.

``type`` is ``/problems/<slug>``, a page for people that each service serves itself.
"""

import socket
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared import errors
from shared.errors import FieldFault, Malformed, Refusal
from shared.problem_faults import invalid_request, malformed
from shared.problem_texts import TITLES_ZH

__all__ = [
    "PROBLEM_SCHEMA",
    "documented",
    "install_problem_handlers",
    "internal_error",
    "malformed",
    "problem_body",
    "problem_response",
    "status_of",
]

MEDIA_TYPE = "application/problem+json"
TRACE_ID = "solomo.trace_id"
"""Where the ASGI scope holds the trace id."""

RETRY_AFTER_S = 1


class MethodNotAllowed(Refusal):
    """The address exists, but not with this method; the header Allow lists those it has."""

    slug = "method-not-allowed"
    title = "The address does not have this method"


_STATUSES: Mapping[type[Refusal], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Malformed: 422,
    errors.TooManyRequests: 429,
    errors.Internal: 500,
    errors.Unavailable: 503,
}
_log = structlog.get_logger(__name__)


def category_of(kind: type[Refusal]) -> type[Refusal]:
    """The category of ``shared.errors`` that ``kind`` belongs to. Raises TypeError for none."""
    found = next((base for base in kind.__mro__ if base in _STATUSES), None)
    if found is None:
        raise TypeError(f"{kind.__name__} must subclass a category of shared.errors")
    return found


def status_of(kind: type[Refusal]) -> int:
    return _STATUSES[category_of(kind)]


def problem_body(
    refusal: Refusal, instance: str | None = None, *, language: str = "en"
) -> dict[str, Any]:
    """The problem document as a dict; also a line of a batch's answer.

    ``instance`` is the path of the request, without its query. ``language`` is ``en`` or
    ``zh-CN`` and concerns ``title``; ``detail`` is for developers and stays English.
    """
    kind = type(refusal)
    body: dict[str, Any] = {
        "type": f"/problems/{kind.slug}",
        "title": _title(kind, language),
        "status": status_of(kind),
        "detail": _detail(refusal),
    }
    if instance is not None:
        body["instance"] = instance
    if isinstance(refusal, Malformed):
        body["errors"] = [{"pointer": f.pointer, "detail": f.detail} for f in refusal.faults]
    return body | refusal.extensions


def problem_response(
    scope: Mapping[str, Any], refusal: Refusal, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to the request of an ASGI ``scope``."""
    language = _language(scope)
    body = problem_body(refusal, scope["path"], language=language)
    if body["status"] >= 500:  # noqa: PLR2004 - HTTP's own numbers
        body["trace_id"] = scope.get(TRACE_ID)
    return Response(
        orjson.dumps(body, default=str),
        status_code=body["status"],
        media_type=MEDIA_TYPE,
        headers={"Content-Language": language, **_headers_of(refusal, scope), **(headers or {})},
    )


def internal_error(scope: Mapping[str, Any]) -> Response:
    """The bare 500: a trace id to look up in the logs, and nothing of what happened."""
    language = _language(scope)
    title = TITLES_ZH["internal"] if language == "zh-CN" else errors.Internal.title
    body = {
        "type": "/problems/internal",
        "title": title,
        "status": 500,
        "detail": "The error was logged under this trace_id.",
        "instance": scope["path"],
        "trace_id": scope.get(TRACE_ID),
    }
    return Response(orjson.dumps(body), status_code=500, media_type=MEDIA_TYPE)


def documented(*refusals: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """What FastAPI's ``responses`` wants: the refusals of an endpoint, grouped by status."""
    by_status: dict[int, list[type[Refusal]]] = {}
    for kind in refusals:
        by_status.setdefault(status_of(kind), []).append(kind)
    return {
        status: {
            "description": "; ".join(f"{kind.title} (`{kind.slug}`)" for kind in kinds),
            "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
        }
        for status, kinds in by_status.items()
    }


PROBLEM_SCHEMA: Mapping[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/malformed"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(DBAPIError, _on_database_error)
    app.add_exception_handler(PoolTimeout, _on_no_connection)
    for away in (ConnectionError, TimeoutError, socket.gaierror):
        app.add_exception_handler(away, _on_no_connection)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - what the handler is registered for
    return problem_response(request.scope, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    return problem_response(request.scope, invalid_request(error))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return problem_response(request.scope, _from_http(error), error.headers)


async def _on_database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DBAPIError)  # noqa: S101 - registered for it
    refusal = _from_database(error)
    if refusal is None:
        raise error
    _log.warning("database_refused", sqlstate=_sqlstate(error), refusal=refusal.slug)
    return problem_response(request.scope, refusal)


async def _on_no_connection(request: Request, error: Exception) -> Response:
    _log.warning("database_unreachable", error=type(error).__name__)
    return problem_response(request.scope, _away())


async def _on_unexpected(request: Request, _error: Exception) -> Response:
    return internal_error(request.scope)


def _from_http(error: HTTPException) -> Refusal:
    """Errors of the framework itself: routing, and bodies that it could not parse."""
    cause = error.__cause__
    if isinstance(cause, Refusal):
        return cause
    known: Mapping[int, Refusal] = {
        404: errors.NotFound("There is nothing at this address; /docs lists all addresses."),
        405: MethodNotAllowed("Use a method that the header Allow names."),
        413: errors.TooLarge("The body is over the limit."),
    }
    return known.get(error.status_code) or Malformed(FieldFault("", _why_unread(cause)))


def _why_unread(cause: BaseException | None) -> str:
    if isinstance(cause, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(cause, RecursionError):
        return "is nested too deeply"
    return "cannot be read as JSON"


_BUSY_SQLSTATES = ("08", "53", "57", "55P03", "40001", "40P01")
"""Connection lost, out of resources, shut down or cancelled, lock timeout, serialisation, deadlock.

Source: PostgreSQL documentation, appendix A (error codes and their classes).
"""
_UNSTORABLE_SQLSTATES = ("22021", "22P05")


def _from_database(error: DBAPIError) -> Refusal | None:
    state = _sqlstate(error)
    if error.connection_invalidated or state.startswith(_BUSY_SQLSTATES):
        return _away()
    if state in _UNSTORABLE_SQLSTATES:
        return Malformed(FieldFault("", "holds a character that cannot be stored"))
    return None


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _away() -> Refusal:
    return errors.Unavailable("The database is busy or away; send the same request again.")


def _detail(refusal: Refusal) -> str:
    if not isinstance(refusal, Malformed):
        return refusal.detail
    return "; ".join(f"{fault.pointer or 'the body'} {fault.detail}" for fault in refusal.faults)


def _headers_of(refusal: Refusal, scope: Mapping[str, Any]) -> dict[str, str]:
    if isinstance(refusal, errors.Unauthenticated):
        sent = any(name == b"authorization" for name, _ in scope["headers"])
        challenge = ', error="invalid_token"' if sent else ""
        return {"WWW-Authenticate": f'Bearer realm="solomo"{challenge}'}
    if isinstance(refusal, errors.TooManyRequests):
        return {"Retry-After": str(refusal.retry_after_s)}
    if isinstance(refusal, errors.Unavailable):
        return {"Retry-After": str(refusal.extensions.get("retry_after_s", RETRY_AFTER_S))}
    return {}


def _title(kind: type[Refusal], language: str) -> str:
    if language != "zh-CN":
        return kind.title
    return TITLES_ZH.get(kind.slug) or TITLES_ZH[category_of(kind).slug]


def _language(scope: Mapping[str, Any]) -> str:
    """``zh-CN`` if Accept-Language wants Chinese more than English, else ``en``."""
    wanted = next((v for name, v in scope["headers"] if name == b"accept-language"), b"")
    weights = {"zh": 0.0, "en": 0.001}
    for entry in wanted.decode("latin-1").lower().split(","):
        tag, _, quality = entry.strip().partition(";q=")
        primary = tag.partition("-")[0]
        if primary in weights:
            weights[primary] = max(weights[primary], _weight(quality))
    return "zh-CN" if weights["zh"] > weights["en"] else "en"


def _weight(quality: str) -> float:
    try:
        return float(quality or 1)
    except ValueError:
        return 0.0

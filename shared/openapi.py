"""What every operation of the OpenAPI document says beyond its own routes."""

from typing import Any

from fastapi import FastAPI

from shared import errors
from shared.problems import MEDIA_TYPE, PROBLEM_SCHEMA, status_of

_EVERYWHERE = (errors.Malformed, errors.TooManyRequests, errors.Unavailable)
_WITH_BODY = (errors.TooLarge, errors.UnsupportedMediaType)
_WITH_TOKEN = (errors.Unauthenticated, errors.Forbidden)
_SCHEMA_REF = {"$ref": "#/components/schemas/Problem"}


def document_problems(app: FastAPI) -> None:
    """Let the document tell the problems that any operation can answer, and one schema for all.

    FastAPI's own HTTPValidationError goes, since no service answers with it. Call it once all
    routes are included.
    """
    build = app.openapi

    def openapi() -> dict[str, Any]:
        return _with_problems(build())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = dict(PROBLEM_SCHEMA)
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            _add_problems(operation["responses"], _answered_by(operation))
    return document


def _answered_by(operation: dict[str, Any]) -> tuple[type[errors.Refusal], ...]:
    """What the platform itself may answer in place of the operation."""
    with_token = _WITH_TOKEN if "security" in operation else ()
    with_body = _WITH_BODY if "requestBody" in operation else ()
    return (*_EVERYWHERE, *with_token, *with_body)


def _add_problems(responses: dict[str, Any], kinds: tuple[type[errors.Refusal], ...]) -> None:
    for kind in kinds:
        status = str(status_of(kind))
        if MEDIA_TYPE not in responses.get(status, {}).get("content", {}):
            responses[status] = {"description": kind.title, "content": {MEDIA_TYPE: {}}}
    for response in responses.values():
        if MEDIA_TYPE in response.get("content", {}):
            response["content"][MEDIA_TYPE] = {"schema": _SCHEMA_REF}

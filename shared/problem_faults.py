"""Faults of form: from where Pydantic found them to where the caller sent them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from shared.errors import FieldFault, Malformed
from shared.problem_texts import fault_text

_MAX_FAULTS = 50
_MAX_POINTER_PART = 100


def malformed(
    error: ValidationError | RequestValidationError, document: Any, at: str = ""
) -> Malformed:
    """The refusal for a Pydantic error about ``document``, JSON as it was parsed.

    For code that validates by itself, such as the lines of a batch; ``at`` is the pointer of
    ``document`` in the body.
    """
    found = error.errors()[:_MAX_FAULTS]
    return Malformed(*(_fault(fault, fault["loc"], document, at) for fault in found))


def invalid_request(error: RequestValidationError) -> Malformed:
    """The refusal for what FastAPI found wrong with a request."""
    return Malformed(*(_located(fault, error.body) for fault in error.errors()[:_MAX_FAULTS]))


def _located(fault: Mapping[str, Any], body: Any) -> FieldFault:
    """Where in the request a fault is, by the first part of FastAPI's location."""
    place, *rest = fault["loc"]
    if fault["type"] == "json_invalid":
        at = f" at character {rest[0]}" if rest else ""
        return FieldFault("", fault_text(fault) + at)
    if place == "body":
        return _fault(fault, rest, body, "")
    prefix = {"query": "?", "header": "header:", "path": "path:", "cookie": "cookie:"}
    return FieldFault(f"{prefix.get(place, '')}{'/'.join(map(str, rest))}", fault_text(fault))


def _fault(fault: Mapping[str, Any], loc: Sequence[Any], document: Any, at: str) -> FieldFault:
    return FieldFault(at + _pointer(fault["type"], loc, document), fault_text(fault))


def _pointer(fault_type: str, loc: Iterable[Any], document: Any) -> str:
    """JSON Pointer (RFC 6901) of a Pydantic location.

    Pydantic also puts the names of union members and validators into a location; parts that
    the document does not have are left out, but for the name of a missing field.
    """
    parts, node = [], document
    path = list(loc)
    for index, part in enumerate(path):
        if _has(node, part):
            node = node[part]
        elif not (fault_type == "missing" and index == len(path) - 1):
            continue
        parts.append(_escaped(str(part)))
    return "".join(f"/{part}" for part in parts)


def _has(node: Any, part: Any) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _escaped(part: str) -> str:
    """Fit for a JSON Pointer in UTF-8: a name that the caller made up may be anything."""
    short = part[:_MAX_POINTER_PART].encode(errors="replace").decode()
    return short.replace("~", "~0").replace("/", "~1")

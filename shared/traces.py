"""Trace ids, as W3C Trace Context has them."""

import random
import re

Parent = tuple[str, str]
"""Trace id (32 hex digits) and span id (16) of the caller."""

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_TRACE_BITS = 128


def parse_traceparent(header: bytes) -> Parent | None:
    """The caller's trace, or None if the header is not a valid one.

    Source: W3C Trace Context, section 3.2 (version ff and ids of zeros are invalid).
    """
    match = _TRACEPARENT.fullmatch(header)
    if match is None or header.startswith(b"ff"):
        return None
    trace_id, span_id = match[1].decode(), match[2].decode()
    return (trace_id, span_id) if int(trace_id, 16) and int(span_id, 16) else None


def new_trace_id() -> str:
    """A random id; it tells requests apart and guards nothing."""
    return f"{random.getrandbits(_TRACE_BITS) or 1:032x}"

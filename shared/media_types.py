"""Which media types a body may have: JSON everywhere, lines of it or files at a few addresses."""

import re

from shared.errors import UnsupportedMediaType

JSON = b"application/json"
_LINES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
_OTHERS = {"/v1/check-ins/batch": _LINES}
"""Taken beside JSON at a path. Files of stores are judged where their formats are known."""
_JUDGES_ITSELF = "/v1/stores/import"
_CALLBACK = re.compile(r"/v1/wechat/[^/]+/callback")
"""WeChat's documentation promises no type; the account says what a push is written in."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def unsupported(method: str, path: str, media_type: bytes) -> UnsupportedMediaType | None:
    """The refusal of a body of ``media_type``, the value of its Content-Type; None if it may be.

    A type whose name ends in ``+json`` is JSON (RFC 6839, section 3.1); an empty one says
    nothing. Parameters, such as ``charset``, are passed over.
    """
    kind = media_type.partition(b";")[0].strip().decode("latin-1").lower()
    if method not in _WITH_BODY or path == _JUDGES_ITSELF or not kind:
        return None
    others = _OTHERS.get(path, frozenset())
    if kind == "application/json" or kind.endswith("+json") or kind in others:
        return None
    if _CALLBACK.fullmatch(path):
        return None
    known = ", ".join(["application/json", *sorted(others)])
    return UnsupportedMediaType(f"Name the body's type in Content-Type; it is one of: {known}.")

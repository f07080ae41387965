"""What a receipt keeps of an answer: all of it for seven days, encrypted; then what may stay.

An answer tells distances, codes and an invitation, so it lies under the key of the day of its
receipt, as the exact pair does. The reduced answer keeps what was granted and which fences held.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from services.geo_api.checkins.domain import Answer, CheckIn
from services.geo_api.checkins.repository import Receipt
from shared.sealing import StorageKey

_NO_EXPLANATION = b'{"decisions":[]}'
_PRIVATE_OF_A_MATCH = dict.fromkeys(("distance_m", "overlap", "share"))
_PRIVATE_OF_A_COUPON = {"code": None}


def sealed(check_in: CheckIn, answer: Answer, key: StorageKey) -> tuple[bytes, bytes]:
    """The body and the explanation under the day's ``key``, each bound to its check-in."""
    return (
        key.encrypt(answer.body, _context(b"answer", *check_in.key)),
        key.encrypt(answer.explanation, _context(b"explanation", *check_in.key)),
    )


def opened(
    subject_id: UUID, check_in_id: UUID, receipt: Receipt, key: StorageKey | None, status: int
) -> Answer:
    """The answer a receipt holds: the whole one, or what is left of it.

    ``key`` is that of the day on which it was received, None once that is destroyed.
    """
    if receipt.reduced is not None or key is None or receipt.answer is None:
        body = receipt.reduced or bare(check_in_id)
        return Answer(status, body.encode(), _NO_EXPLANATION)
    body_context = _context(b"answer", subject_id, check_in_id)
    why_context = _context(b"explanation", subject_id, check_in_id)
    return Answer(
        status,
        key.decrypt(receipt.answer, body_context),
        key.decrypt(receipt.explanation, why_context) if receipt.explanation else _NO_EXPLANATION,
    )


def reduced(body: bytes) -> str:
    """An answer without what would tell how far in somebody was, or open a coupon."""
    answer: dict[str, Any] = orjson.loads(body)
    matches = [_without(match, _PRIVATE_OF_A_MATCH) for match in answer["matches"]]
    coupons = [_without(coupon, _PRIVATE_OF_A_COUPON) for coupon in answer["coupons"]]
    place = answer["place"] and {**answer["place"], "candidates": []}
    kept = {**answer, "matches": matches, "place": place, "coupons": coupons, "invitation": None}
    return orjson.dumps(kept).decode()


def _without(document: Mapping[str, Any], private: Mapping[str, None]) -> dict[str, Any]:
    return {**document, **{name: None for name in private if name in document}}


def bare(check_in_id: UUID) -> str:
    """What is known of an answer whose key is gone."""
    accepted = {"id": str(check_in_id), "status": "accepted", "reason": None}
    empty: dict[str, Any] = {
        "matches": [],
        "place": None,
        "visits": [],
        "coupons": [],
        "invitation": None,
    }
    return orjson.dumps({"check_in": accepted, **empty}).decode()


def _context(what: bytes, subject_id: UUID, check_in_id: UUID) -> bytes:
    return what + subject_id.bytes + check_in_id.bytes

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


def sealed(check_in: CheckIn, answer: Answer, key: StorageKey) -> bytes:
    """The body and the explanation, a line each, under the day's ``key``; bound to its check-in."""
    return key.encrypt(answer.body + b"\n" + answer.explanation, _context(*check_in.key))


def opened(
    subject_id: UUID, check_in_id: UUID, receipt: Receipt, key: StorageKey | None, status: int
) -> Answer:
    """The answer a receipt holds: the whole one, or what is left of it.

    ``key`` is that of the day on which it was received, None once that is destroyed.
    """
    if receipt.reduced is not None or key is None or receipt.answer is None:
        left = receipt.reduced or bare(check_in_id)
        return Answer(status, left.encode(), _NO_EXPLANATION)
    body, explanation = key.decrypt(receipt.answer, _context(subject_id, check_in_id)).split(b"\n")
    return Answer(status, body, explanation)


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


def _context(subject_id: UUID, check_in_id: UUID) -> bytes:
    return b"answer" + subject_id.bytes + check_in_id.bytes

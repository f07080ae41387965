"""What the clerk reads: short, the cause, the next act. In English and Chinese."""
# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.geo_api.redemptions.domain import Reason, Refused

_REFUSED: Mapping[str, Mapping[Reason, str]] = {
    "en": {
        Reason.NOT_FOUND: "Not ours, or damaged. Scan again or type the code.",
        Reason.NOT_YET_VALID: "Valid from {valid_from}. Ask the guest to come back.",
        Reason.EXPIRED: "Expired {valid_until}. Do not give.",
        Reason.ALREADY_REDEEMED: "Already used {redeemed_at} at {redeemed_store_id}. Do not give.",
        Reason.REVOKED: "Withdrawn. Do not give.",
        Reason.WRONG_STORE: "Not valid at this store. Name the guest a store where it is.",
        Reason.STAFF_NOT_ALLOWED: "You may redeem at your own store only. Ask the lead.",
        Reason.CURRENCY_MISMATCH: "For orders in {currency} only.",
        Reason.ALREADY_REVERSED: "Undone already, {reversed_at}. Nothing to do.",
        Reason.UNDO_TOO_LATE: "Could be undone until {reversible_until}. Ask the manager.",
    },
    "zh-CN": {
        Reason.NOT_FOUND: "不是本店的券或券码有误，请重新扫码或手动输入。",
        Reason.NOT_YET_VALID: "{valid_from} 起可用，请顾客届时再来。",
        Reason.EXPIRED: "已于 {valid_until} 过期，请勿兑换。",
        Reason.ALREADY_REDEEMED: "已于 {redeemed_at} 在 {redeemed_store_id} 使用，请勿兑换。",
        Reason.REVOKED: "此券已作废，请勿兑换。",
        Reason.WRONG_STORE: "本店不可用，请告知顾客可用的门店。",
        Reason.STAFF_NOT_ALLOWED: "只能在本人所属门店核销，请联系值班主管。",
        Reason.CURRENCY_MISMATCH: "仅适用于 {currency} 结算的订单。",
        Reason.ALREADY_REVERSED: "已于 {reversed_at} 撤销，无需处理。",
        Reason.UNDO_TOO_LATE: "可撤销时间已于 {reversible_until} 截止，请联系经理。",
    },
}
_DONE: Mapping[str, Mapping[str, str]] = {
    "en": {
        "valid": "Valid. Give: {title}.",
        "redeemed": "Give: {title}. Done {at}.",
        "reversed": "Undone {at}.",
    },
    "zh-CN": {
        "valid": "可用。请兑换：{title}。",
        "redeemed": "请兑换：{title}。已于 {at} 核销。",
        "reversed": "已于 {at} 撤销。",
    },
}
_UNKNOWN = "?"
_QUALITY = re.compile(r"[01](\.\d{0,3})?")


def language_for(accept_language: str) -> str:
    """``zh-CN`` where Accept-Language (RFC 9110, 12.5.4) weighs Chinese above English, else ``en``."""
    weights = {"zh": 0.0, "en": 0.001}
    for entry in accept_language.lower().split(","):
        tag, _, quality = entry.replace(" ", "").partition(";q=")
        primary = tag.partition("-")[0]
        if primary in weights:
            weight = float(quality) if _QUALITY.fullmatch(quality) else 1.0
            weights[primary] = max(weights[primary], weight)
    return "zh-CN" if weights["zh"] > weights["en"] else "en"


def refusal_text(refused: Refused, language: str, zone: ZoneInfo) -> str:
    """``language`` is ``en`` or ``zh-CN``; moments are told in ``zone``, the store's."""
    told: dict[str, Any] = dict.fromkeys(("redeemed_at", "redeemed_store_id"), _UNKNOWN)
    told |= {name: _told(value, zone) for name, value in refused.facts.items()}
    return _REFUSED[language][refused.reason].format_map(told)


def done_text(deed: str, language: str, zone: ZoneInfo, *, at: datetime, title: str = "") -> str:
    """``deed`` is ``valid``, ``redeemed`` or ``reversed``."""
    return _DONE[language][deed].format(title=title, at=_told(at, zone))


def _told(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return value

"""What a message says: its coupon put into the words of the account, within WeChat's limits. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

MAX_TEXT_BYTES = 2_048
"""Of a custom message."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_KIND = re.compile(r"[A-Za-z_]+")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")
_MOMENTS = frozenset({"time", "date"})

_LONGEST: Mapping[str, int] = {
    "thing": 20,
    "const": 20,
    "name": 20,
    "character_string": 32,
    "letter": 32,
    "number": 32,
    "symbol": 5,
    "phrase": 5,
    "short_thing": 5,
}
"""Characters, by the kind that a keyword begins with.

Source: WeChat's page of ``subscribeMessage.send``, table of parameter kinds. A name has at most 10
where it is Chinese.
"""
_LONGEST_CHINESE_NAME = 10
_ABRIDGED = frozenset({"thing", "const", "name"})
"""Kinds in which an ellipsis may show that something was left out."""


@dataclass(frozen=True, slots=True)
class CouponWords:
    """What a text may name. ``zone`` is the account's."""

    title: str
    store: str
    valid_until: datetime
    code: str
    zone: ZoneInfo

    def told(self, *, in_chinese: bool) -> Mapping[str, str]:
        """By placeholder. The Chinese form of a moment is the one WeChat's fields of time take."""
        local = self.valid_until.astimezone(self.zone)
        moment = (
            f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
            if in_chinese
            else f"{local:%Y-%m-%d %H:%M}"
        )
        return {
            "title": self.title,
            "store": self.store,
            "valid_until": moment,
            "code": self.code,
        }


def template_values(wording: Mapping[str, str], words: CouponWords) -> dict[str, str]:
    """The texts of a template by its keywords: one line each, as long as their kinds allow."""
    return {key: _value(key, text, words) for key, text in wording.items()}


def custom_text(wording: str, words: CouponWords) -> str:
    """The text of a custom message, cut to what WeChat takes."""
    text = _filled(wording, words.told(in_chinese=False)).strip()
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


def _value(key: str, wording: str, words: CouponWords) -> str:
    found = _KIND.match(key)
    kind = found[0] if found else ""
    text = _filled(wording, words.told(in_chinese=kind in _MOMENTS))
    text = _BLANKS.sub(" ", text).strip()
    longest = _LONGEST.get(kind)
    if kind == "name" and not text.isascii():
        longest = _LONGEST_CHINESE_NAME
    return text if longest is None else _cut(text, longest, "…" if kind in _ABRIDGED else "")


def _filled(wording: str, told: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: told.get(found[1], found[0]), wording)


def _cut(text: str, longest: int, mark: str) -> str:
    """At most ``longest`` UTF-16 units, which is what WeChat's own language counts."""
    if _length(text) <= longest:
        return text
    room = longest - len(mark)
    while _length(text) > room:
        text = text[:-1]
    return f"{text.rstrip()}{mark}"


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2

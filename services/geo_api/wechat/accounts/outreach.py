"""How an account may write to people: how often, when, and in which words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

PLACEHOLDERS = frozenset({"title", "store", "valid_until", "code"})
"""What ``{...}`` in a text may name, each of the coupon that the message is about."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of day, from ``start`` up to ``end``, past midnight where ``end`` is earlier."""

    start: time
    end: time

    def cover(self, at: time) -> bool:
        """Equal ends are no time at all."""
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


@dataclass(frozen=True, slots=True)
class CouponMessage:
    """How a coupon is told: ``data`` by the keywords of a template, ``text`` as a custom message.

    None or empty: not by that way.
    """

    template_id: str | None
    page: str | None
    data: Mapping[str, str]
    text: str | None


@dataclass(frozen=True, slots=True)
class OutreachSettings:
    """``per_person_per_day`` counts calendar days of ``timezone`` (IANA)."""

    enabled: bool
    per_person_per_day: int
    quiet_hours: QuietHours | None
    timezone: str
    coupon: CouponMessage | None

    def is_quiet(self, at: datetime) -> bool:
        """Whether nobody is written to at ``at`` (aware)."""
        if self.quiet_hours is None:
            return False
        return self.quiet_hours.cover(at.astimezone(ZoneInfo(self.timezone)).time())


SILENT = OutreachSettings(
    enabled=False, per_person_per_day=1, quiet_hours=None, timezone="Asia/Shanghai", coupon=None
)


def read_outreach(stored: Mapping[str, Any]) -> OutreachSettings:
    """The settings in the wire form in which they are stored; what is left out is as in SILENT."""
    quiet, coupon = stored.get("quiet_hours"), stored.get("coupon")
    return OutreachSettings(
        enabled=bool(stored.get("enabled", SILENT.enabled)),
        per_person_per_day=int(stored.get("per_person_per_day", SILENT.per_person_per_day)),
        quiet_hours=quiet
        and QuietHours(time.fromisoformat(quiet["from"]), time.fromisoformat(quiet["until"])),
        timezone=str(stored.get("timezone", SILENT.timezone)),
        coupon=coupon
        and CouponMessage(
            coupon.get("template_id"),
            coupon.get("page"),
            coupon.get("data") or {},
            coupon.get("text"),
        ),
    )

"""Whether a message goes to somebody now, by which account and route, and if not, why not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

COUPON_GRANTED = "coupon_granted"
"""The cause of a message: what it is about has happened."""

LOOKED_AT_AGAIN = timedelta(days=1)
"""What waits for a grant or a window is woken when one opens; settings and consents wake nothing, so
it is looked at every day besides."""

ONE_AFTER_THE_OTHER = timedelta(seconds=2)
"""While a message to the person is under way the next one waits so long."""

COUNTED_FOR = timedelta(days=2)
"""No day of any time zone began longer ago."""


class State(StrEnum):
    """``sent`` may become ``delivered`` or ``failed`` by WeChat's last word; the others are final."""

    WAITING = "waiting"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class Route(StrEnum):
    """The better one first."""

    SUBSCRIBE_MESSAGE = "subscribe_message"
    CUSTOM_MESSAGE = "custom_message"


class Reason(StrEnum):
    """Why a message waits, ended, or is not known to have arrived.

    Of a message that expires while it waits, the reason it last waited for stays.
    """

    NO_CHANNEL = "no_channel"
    """The person permits nothing just now: no open grant of the template, no window with room."""
    NO_CONSENT = "no_consent"
    """A window is open, but the person has not agreed to marketing."""
    OUTREACH_OFF = "outreach_off"
    """No account that knows the person may write to people."""
    QUIET_HOURS = "quiet_hours"
    OFTEN_ENOUGH = "often_enough"
    ONE_AT_A_TIME = "one_at_a_time"
    CHANNEL_BUSY = "channel_busy"
    CHANNEL_UNREACHABLE = "channel_unreachable"
    QUOTA_USED_UP = "quota_used_up"
    ACCOUNT_REFUSED = "account_refused"
    """WeChat does not let the account call it; an operator has to mend that."""

    EXPIRED = "expired"
    COUPON_USED = "coupon_used"
    COUPON_WITHDRAWN = "coupon_withdrawn"
    MARKETING_REFUSED = "marketing_refused"

    TEMPLATE_REFUSED = "template_refused"
    VALUE_REFUSED = "value_refused"
    PERSON_UNKNOWN = "person_unknown"
    NOT_PERMITTED = "not_permitted"
    REFUSED = "refused"

    UNKNOWN = "unknown"
    """Nobody knows what became of it, so it counts as sent."""
    NOT_DELIVERED = "not_delivered"


class Hours(Protocol):
    """A time of day, from ``start`` up to ``end``, past midnight where ``end`` is earlier."""

    @property
    def start(self) -> time: ...

    @property
    def end(self) -> time: ...


class Limits(Protocol):
    """What an account's operator allows. ``timezone`` (IANA) is that of its days and hours."""

    @property
    def per_person_per_day(self) -> int: ...

    @property
    def quiet_hours(self) -> Hours | None: ...

    @property
    def timezone(self) -> str: ...


class CouponIs(StrEnum):
    """What has become of the coupon that a message is about."""

    VALID = "valid"
    USED = "used"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that waits. ``expires_at`` is the end of its coupon."""

    coupon: CouponIs
    expires_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Attitude:
    """What all subjects of a person together say to marketing; silence is neither."""

    refuses: bool
    agrees: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """An account that knows the person under ``subject_id``, and what they permit it now.

    ``writes``: it writes to people at all. ``grant``: one message of the template that tells
    coupons; ``window``: a text.
    """

    account_id: str
    subject_id: UUID
    limits: Limits
    writes: bool
    grant: bool
    window: bool


@dataclass(frozen=True, slots=True)
class Past:
    """What the person got: when, by any account; and whether something is under way."""

    sent_at: Sequence[datetime]
    under_way: bool


@dataclass(frozen=True, slots=True)
class Send:
    """Send it by this route of this account."""

    account_id: str
    subject_id: UUID
    route: Route


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at ``until``, or when something opens."""

    until: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Drop:
    """It will never be sent."""

    reason: Reason


Decision = Send | Wait | Drop


def decide(
    pending: Pending,
    attitude: Attitude,
    contacts: Sequence[Contact],
    past: Past,
    now: datetime,
) -> Decision:
    """What happens to a message now.

    A refusal of marketing by any subject of the person ends it. An acceptance of the template is
    the person's own word for this very message, so silence does not stand in its way; a window
    is WeChat's permission and not the person's, so a text needs their consent to marketing.
    What the person got counts for each account's limit, whichever account sent it.
    """
    if now >= pending.expires_at:
        return Drop(Reason(pending.reason) if pending.reason else Reason.EXPIRED)
    if pending.coupon is not CouponIs.VALID:
        used = pending.coupon is CouponIs.USED
        return Drop(Reason.COUPON_USED if used else Reason.COUPON_WITHDRAWN)
    if attitude.refuses:
        return Drop(Reason.MARKETING_REFUSED)
    if past.under_way:
        return Wait(min(now + ONE_AFTER_THE_OTHER, pending.expires_at), Reason.ONE_AT_A_TIME)
    answers = [_ask(contact, attitude, past, now) for contact in contacts]
    ways = [answer for answer in answers if isinstance(answer, Send)]
    if ways:
        return min(ways, key=lambda way: [*Route].index(way.route))
    waits = [answer for answer in answers if isinstance(answer, Wait)]
    soonest = min(waits, key=_order, default=Wait(now + LOOKED_AT_AGAIN, Reason.NO_CHANNEL))
    return Wait(min(soonest.until, pending.expires_at), soonest.reason)


_NEAREST = (
    Reason.OFTEN_ENOUGH,
    Reason.QUIET_HOURS,
    Reason.NO_CONSENT,
    Reason.NO_CHANNEL,
    Reason.OUTREACH_OFF,
)
"""Of what stands in the way at several accounts, that which is nearest to a message."""


def _order(wait: Wait) -> tuple[datetime, int]:
    return wait.until, _NEAREST.index(wait.reason)


def _ask(contact: Contact, attitude: Attitude, past: Past, now: datetime) -> Send | Wait:
    """What one account can do."""
    limits, later = contact.limits, now + LOOKED_AT_AGAIN
    if not contact.writes:
        return Wait(later, Reason.OUTREACH_OFF)
    if not contact.grant and not contact.window:
        return Wait(later, Reason.NO_CHANNEL)
    if not contact.grant and not attitude.agrees:
        return Wait(later, Reason.NO_CONSENT)
    if often_enough(limits, past.sent_at, now):
        return Wait(next_day(limits.timezone, now), Reason.OFTEN_ENOUGH)
    quiet_until = end_of_quiet(limits, now)
    if quiet_until is not None:
        return Wait(quiet_until, Reason.QUIET_HOURS)
    route = Route.SUBSCRIBE_MESSAGE if contact.grant else Route.CUSTOM_MESSAGE
    return Send(contact.account_id, contact.subject_id, route)


def often_enough(limits: Limits, sent_at: Sequence[datetime], now: datetime) -> bool:
    """Whether the person got as many on this calendar day of the account as it allows."""
    zone = ZoneInfo(limits.timezone)
    today = now.astimezone(zone).date()
    return sum(at.astimezone(zone).date() == today for at in sent_at) >= limits.per_person_per_day


def next_day(timezone: str, now: datetime) -> datetime:
    """When the next calendar day begins there."""
    return _next(time(0), timezone, now, from_day=1)


def end_of_quiet(limits: Limits, now: datetime) -> datetime | None:
    """When the quiet hours end in which ``now`` lies; None if it lies in none.

    Clocks that are put forward or back move the end with them.
    """
    hours = limits.quiet_hours
    if hours is None or not _cover(hours, now.astimezone(ZoneInfo(limits.timezone)).time()):
        return None
    return _next(hours.end, limits.timezone, now)


def _cover(hours: Hours, at: time) -> bool:
    """Equal ends are no time at all."""
    if hours.start <= hours.end:
        return hours.start <= at < hours.end
    return at >= hours.start or at < hours.end


def _next(at: time, timezone: str, now: datetime, from_day: int = 0) -> datetime:
    return min(moment for moment in _moments(at, timezone, now, from_day) if moment > now)


def _moments(at: time, timezone: str, now: datetime, from_day: int) -> Iterator[datetime]:
    """Today's and the next days' ``at``; where clocks go back it may come twice a day."""
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    for days in range(from_day, from_day + 3):
        day = today + timedelta(days=days)
        for fold in (0, 1):
            yield datetime.combine(day, at.replace(fold=fold), zone).astimezone(ZoneInfo("UTC"))

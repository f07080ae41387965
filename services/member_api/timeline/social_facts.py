"""What the facts of social channels must say, by type."""

from collections.abc import Callable, Mapping
from typing import Any

from services.member_api.timeline.values import (
    UnreadableEvent,
    check_one_of,
    check_text,
    uuid_of,
)
from shared.contracts.events import EventType

Data = Mapping[str, Any]

MESSAGE_STATES = ("sent", "delivered", "failed", "dropped")
_STATES = frozenset(MESSAGE_STATES)
_ROUTES = frozenset({"subscribe_message", "custom_message"})


def check(kind: str, data: Data) -> None:
    """That the data of a ``social_*`` fact can be taken. Raises UnreadableEvent."""
    check_text(data, "channel")
    is_sent = kind == EventType.SOCIAL_MESSAGE_SENT
    check_text(data, "account_id", optional=is_sent)  # none was chosen for what was dropped
    for name in ("scene", "campaign", "kol"):
        check_text(data, name, optional=True)
    more = _MORE.get(kind)
    if more is not None:
        more(data)


def _menu(data: Data) -> None:
    check_text(data, "event")
    _long_text(data, "key")


def _received(data: Data) -> None:
    check_text(data, "kind")


def _subscription(data: Data) -> None:
    check_text(data, "template_id")
    check_text(data, "status")


def _sent(data: Data) -> None:
    uuid_of(data, "outreach_id")
    if data.get("coupon_id") is not None:
        uuid_of(data, "coupon_id")
    check_text(data, "cause")
    if data.get("route") is not None:
        check_one_of(data, "route", _ROUTES)
    check_one_of(data, "state", _STATES)
    check_text(data, "reason", optional=True)


def _other(data: Data) -> None:
    check_text(data, "event")


def _long_text(data: Data, name: str) -> None:
    """A menu's key may be a whole address, or nothing at all."""
    value = data.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > _MAX_KEY):
        raise UnreadableEvent(f"bad_{name}")


_MAX_KEY = 2_000

_MORE: Mapping[str, Callable[[Data], None]] = {
    EventType.SOCIAL_MENU_USED.value: _menu,
    EventType.SOCIAL_MESSAGE_RECEIVED.value: _received,
    EventType.SOCIAL_SUBSCRIPTION_CHANGED.value: _subscription,
    EventType.SOCIAL_MESSAGE_SENT.value: _sent,
    EventType.SOCIAL_EVENT.value: _other,
}

TYPES = frozenset(
    {
        EventType.SOCIAL_FOLLOWED.value,
        EventType.SOCIAL_UNFOLLOWED.value,
        EventType.SOCIAL_SCANNED.value,
        *_MORE,
    }
)

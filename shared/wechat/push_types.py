"""What WeChat's pushes say, one frozen class for each thing that we do something with.

What would identify or locate a person is left out of ``repr``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

WHEREABOUTS: Final = frozenset({"13", "18", "206", "301"})
"""Revoked permissions that end what we know of where somebody was: location and chosen location
of a mini-program, location of an account's web page, and everything at once."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Whom a push is to and from, and what it is.

    ``openid`` is the person: of privacy events ``OpenID``, for they come from the platform. It is
    None where the push does not say. ``occurred_at`` has whole seconds; None where it is missing
    or absurd. ``message_id`` is any text. ``kind`` is the type of a message (``location``), or
    ``event:`` and the event's name in lower case (``event:location``), at most 64 characters.
    """

    to: str
    openid: str | None = field(repr=False)
    occurred_at: datetime | None
    message_id: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Position:
    """Degrees, longitude first, in range, in the datum that the kind of push or account says."""

    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Push:
    """What all pushes have."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class UnknownPush(Push):
    """Something else, kept as it came."""

    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextMessage(Push):
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MediaMessage(Push):
    """An image, voice, video, file, link or mini-program card; ``envelope.kind`` tells which."""

    media_id: str | None


@dataclass(frozen=True, slots=True)
class LocationMessage(Push):
    """A place that somebody chose on a map and sent: no proof of being there. GCJ-02."""

    position: Position | None = field(repr=False)
    scale: int | None
    label: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LocationReport(Push):
    """The event LOCATION: where the phone was. Its datum is a setting of the account.

    ``accuracy_m`` is WeChat's Precision, taken as metres.
    """

    position: Position | None = field(repr=False)
    accuracy_m: float | None


@dataclass(frozen=True, slots=True)
class LocationSelected(Push):
    """A place chosen from a menu; a LocationMessage of the same follows. GCJ-02."""

    key: str
    position: Position | None = field(repr=False)
    scale: int | None
    label: str = field(repr=False)
    poi_name: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subscribed(Push):
    """A follow; ``scene`` is that of the QR code by which somebody came, without ``qrscene_``.

    ``key`` is the EventKey as it came: product barcodes and payments have other prefixes.
    """

    scene: str | None
    ticket: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Unsubscribed(Push):
    """An unfollow."""


@dataclass(frozen=True, slots=True)
class Scanned(Push):
    """A scene's QR code was scanned by somebody who follows already."""

    scene: str
    ticket: str | None


@dataclass(frozen=True, slots=True)
class MenuClicked(Push):
    key: str


@dataclass(frozen=True, slots=True)
class MenuViewed(Push):
    """A tap on a link or mini-program in the menu; it does not tell that the page opened."""

    url: str
    menu_id: str | None


@dataclass(frozen=True, slots=True)
class CodeScanned(Push):
    """A code scanned by a menu button. ``result`` is whatever was printed there: hostile input.

    ``waits``: the person is shown that an answer comes (``scancode_waitmsg``).
    """

    key: str
    scan_type: str
    result: str = field(repr=False)
    waits: bool


@dataclass(frozen=True, slots=True)
class SubscriptionAnswer:
    """``status`` is ``accept``, ``reject`` or another word of WeChat's.

    ``popup_scene`` is ``0`` mini-program, ``1`` web page, ``2`` article; None in changes.
    """

    template_id: str
    status: str
    popup_scene: str | None


@dataclass(frozen=True, slots=True)
class SubscriptionsAnswered(Push):
    """Somebody was asked for subscribe messages; each ``accept`` permits one."""

    answers: tuple[SubscriptionAnswer, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionsChanged(Push):
    """Somebody changed the answers in WeChat's settings; WeChat tells refusals only."""

    changes: tuple[SubscriptionAnswer, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionResult:
    """What became of a sent subscribe message; ``error_code`` 0 is delivered."""

    template_id: str
    message_id: str | None
    error_code: int | None
    status: str


@dataclass(frozen=True, slots=True)
class SubscriptionsSent(Push):
    results: tuple[SubscriptionResult, ...]


@dataclass(frozen=True, slots=True)
class PermissionRevoked(Push):
    """Somebody took permissions back; ``permissions`` are WeChat's numbers (``RevokeInfo``)."""

    app_id: str
    permissions: frozenset[str]

    @property
    def ends_whereabouts(self) -> bool:
        return not self.permissions.isdisjoint(WHEREABOUTS)


@dataclass(frozen=True, slots=True)
class UserInfoModified(Push):
    """WeChat cleaned a profile: name and picture are no longer to be shown."""

    app_id: str


@dataclass(frozen=True, slots=True)
class AccountCancelled(Push):
    """Somebody closed their WeChat account: everything about them is to be erased."""

    app_id: str


@dataclass(frozen=True, slots=True)
class CardReceived(Push):
    """``outer`` is the text that we gave with the card when it was handed out, such as a store."""

    card_id: str
    code: str
    by_friend: bool
    outer: str


@dataclass(frozen=True, slots=True)
class CardUsed(Push):
    card_id: str
    code: str
    source: str
    location_name: str
    staff_openid: str | None = field(repr=False)
    outer: str


@dataclass(frozen=True, slots=True)
class MemberCardSubmitted(Push):
    """The form that activates a member card was filled in; what it says is fetched by the API."""

    card_id: str
    code: str


@dataclass(frozen=True, slots=True)
class Beacon:
    """A Bluetooth beacon as the phone saw it; metres, None where they are none."""

    uuid: str
    major: str
    minor: str
    distance_m: float | None


@dataclass(frozen=True, slots=True)
class BeaconShaken(Push):
    chosen: Beacon | None
    around: tuple[Beacon, ...]


@dataclass(frozen=True, slots=True)
class WifiConnected(Push):
    """``place_id`` is WeChat's number of the shop, ``bssid`` the access point's."""

    place_id: str
    bssid: str
    vendor_id: str


@dataclass(frozen=True, slots=True)
class StoreChecked(Push):
    """WeChat reviewed a store that was submitted under ``store_id``."""

    store_id: str
    poi_id: str
    passed: bool
    message: str


@dataclass(frozen=True, slots=True)
class EnteredChat(Push):
    """Somebody opened the chat of a mini-program; ``session_from`` is what its button says."""

    session_from: str

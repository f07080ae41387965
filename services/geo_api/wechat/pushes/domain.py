"""A push on its way into the inbox: what makes it a repeat, and what may be kept of it."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from services.geo_api.subjects.domain import (
    SubjectState,
    Vouch,
    consent_for_visit,
    falls_under_revocation,
)
from shared.contracts.events import Purpose
from shared.ids import named_uuid
from shared.wechat.callback import CallbackQuery, Mode

PUSH_NAMESPACE = UUID("8c0f7a0e-4a57-5d0b-9a4f-6c2f0b7d9e61")
"""Namespace of push ids. Frozen: under another one what WeChat repeats would count again."""

MAX_AHEAD = timedelta(minutes=5)
_EARLIEST = datetime(2011, 1, 1, tzinfo=UTC)
"""WeChat began then: what is said to be older has a time that is none."""

MAX_ATTEMPTS = 12
"""After so many a push waits for an operator; with the pauses between them some 40 minutes."""

_WHEREABOUTS = frozenset(
    {
        *("latitude", "longitude", "lat", "lng", "lon", "precision", "accuracy", "scale"),
        *("location_x", "location_y", "label", "poiname", "poiid", "address"),
        *("scanresult", "chosenbeacon", "aroundbeacons", "placeid", "deviceno", "bssid"),
    }
)
"""Names of elements, in lower case, that tell where somebody is: coordinates, places, beacons,
access points, codes that hang somewhere."""


WHEREABOUTS_KINDS = (
    "location",
    "event:location",
    "event:location_select",
    "event:scancode_push",
    "event:scancode_waitmsg",
    "event:shakearoundusershake",
    "event:wificonnected",
)
"""Kinds whose bodies tell where somebody is; they are not kept beyond the days of coordinates."""


class PushState(StrEnum):
    """``unknown`` is kept as it came, for nothing is done with its kind; ``parked`` failed too often."""

    WAITING = "waiting"
    HANDLED = "handled"
    UNKNOWN = "unknown"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a push says, read and not yet stored; ``subject_id`` is whom it is from.

    ``consent_version`` is that which sharing a location with the account implies, if it does.
    """

    push_id: UUID
    subject_id: UUID | None
    kind: str
    occurred_at: datetime
    consent_version: str | None
    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request that is from WeChat. ``digest`` tells one that comes again.

    ``push`` is None for what cannot be read, and ``unreadable`` then says why.
    """

    account_id: str
    digest: bytes
    received_at: datetime
    push: Arrived | None
    unreadable: str = ""


def digest_of(key: bytes, account_id: str, mode: Mode, query: CallbackQuery) -> bytes:
    """Stands for the parameters of a request, as far as its mode checks them; keyed.

    A repeat of WeChat's has the same ones. In plain mode the signature stays the same where time
    and nonce are exchanged, and stands for both.
    """
    signature = query.signature if mode is Mode.PLAIN else query.msg_signature
    both = sorted((query.timestamp, query.nonce))
    parts = orjson.dumps(["wechat nonce", account_id, *both, signature])
    return hmac.digest(key, parts, hashlib.sha256)[:16]


def push_id_of(
    key: bytes, account_id: str, message_id: str | None, document: Mapping[str, Any]
) -> UUID:
    """The id of a push, the same for its repeats however they are encrypted.

    From the message's id where it has one, else from all that it says; keyed, since a plain hash
    would give its coordinates to whoever tries them all.
    """
    said: Any = ["id", message_id] if message_id else ["body", document]
    parts = orjson.dumps(["wechat push", account_id, *said], option=orjson.OPT_SORT_KEYS)
    return named_uuid(PUSH_NAMESPACE, hmac.digest(key, parts, hashlib.sha256).hex())


def time_of(said: datetime | None, received_at: datetime) -> datetime:
    """When a push happened: what it says, unless that is missing or absurd."""
    if said is None or not _EARLIEST <= said <= received_at + MAX_AHEAD:
        return received_at
    return said


def holds_whereabouts(value: Any) -> bool:
    """Whether a document tells, at any depth, where somebody is."""
    if isinstance(value, Mapping):
        return any(k.lower() in _WHEREABOUTS or holds_whereabouts(v) for k, v in value.items())
    return isinstance(value, list) and any(map(holds_whereabouts, value))


def without_whereabouts(value: Any) -> Any:
    """The document less all that tells where somebody is."""
    if isinstance(value, Mapping):
        return {
            name: without_whereabouts(inner)
            for name, inner in value.items()
            if name.lower() not in _WHEREABOUTS
        }
    return [*map(without_whereabouts, value)] if isinstance(value, list) else value


def implied_vouch(
    version: str | None, occurred_at: datetime, received_at: datetime
) -> Vouch | None:
    """The consent that sharing a location with an account implies, given when it was shared."""
    if version is None:
        return None
    given_at = min(occurred_at, received_at)  # our clock may be behind WeChat's
    return Vouch(Purpose.VISIT_HISTORY, version, given_at, implied=True)


def may_be_located(push: Arrived, state: SubjectState | None, received_at: datetime) -> bool:
    """Whether it may be kept where the person of a push is; ``state`` None: nothing is known."""
    if push.subject_id is None:
        return False
    if state is not None and falls_under_revocation(state, push.occurred_at):
        return False
    vouch = implied_vouch(push.consent_version, push.occurred_at, received_at)
    recorded = None if state is None else state.visit_history
    return isinstance(consent_for_visit(recorded, vouch, received_at), Vouch)


def firsts(requests: Iterable[Incoming]) -> list[Incoming]:
    """Of those with the same parameters, and of the same pushes, the first."""
    digests: set[tuple[str, bytes]] = set()
    pushes: set[tuple[str, UUID]] = set()
    first = []
    for one in requests:
        repeated = (one.account_id, one.digest) in digests
        digests.add((one.account_id, one.digest))
        if one.push is not None and not repeated:
            repeated = (one.account_id, one.push.push_id) in pushes
            pushes.add((one.account_id, one.push.push_id))
        if not repeated:
            first.append(one)
    return first


def body_context(account_id: str, push_id: UUID) -> bytes:
    """Binds a stored body to its row."""
    return b"wechat push" + push_id.bytes + account_id.encode()

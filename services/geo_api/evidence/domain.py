"""What a check-in rests on, how far it is believed, and the store that a proof names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from shared.errors import Conflict, FieldFault, Malformed, NotFound

AT_CODE = "/evidence/code"
AT_BEACON = "/evidence/beacon"
AT_STORE = "/evidence/store_id"
AT_MEMBER_CODE = "/evidence/member_code"
"""JSON Pointers into a check-in."""


class CheckInKind(StrEnum):
    """How the report came about."""

    MANUAL = "manual"
    BACKGROUND = "background"
    STORE_QR = "store_qr"
    BEACON = "beacon"
    STAFF_SCAN = "staff_scan"
    PURCHASE = "purchase"


BY_LOCATION = frozenset({CheckInKind.MANUAL, CheckInKind.BACKGROUND})
"""Kinds that rest on coordinates alone; the others name a store, with coordinates or without."""


class LocationGrade(StrEnum):
    """Where coordinates come from: the device's best fix, a coarse one, or a tap on a map."""

    PRECISE = "precise"
    FUZZY = "fuzzy"
    CHOSEN = "chosen"


class Evidence(StrEnum):
    """What a presence at a store rests on."""

    GPS = "gps"
    FUZZY = "fuzzy"
    CHOSEN = "chosen"
    STORE_QR = "store_qr"
    PRINTED_QR = "printed_qr"
    BEACON = "beacon"
    STAFF_SCAN = "staff_scan"
    PURCHASE = "purchase"


GREATEST_CONFIDENCE: Mapping[Evidence, int] = {
    Evidence.GPS: 3,  # the geometry decides, up to this
    Evidence.FUZZY: 1,  # lists stores near by, never claims a visit
    Evidence.CHOSEN: 1,  # anybody can tap on a map
    Evidence.STORE_QR: 3,  # rotates: nobody has it who was not there just now
    Evidence.PRINTED_QR: 2,  # a photograph of it works from afar until it is revoked
    Evidence.BEACON: 2,  # identifiers are sent in the clear and can be copied
    Evidence.STAFF_SCAN: 3,
    Evidence.PURCHASE: 3,
}
"""The one table of how far each kind of evidence is believed, of 1 to 3."""

OF_GRADE: Mapping[LocationGrade, Evidence] = {
    LocationGrade.PRECISE: Evidence.GPS,
    LocationGrade.FUZZY: Evidence.FUZZY,
    LocationGrade.CHOSEN: Evidence.CHOSEN,
}


@dataclass(frozen=True, slots=True)
class Proof:
    """A store that was proven without looking at coordinates, and by what."""

    store_id: str
    evidence: Evidence

    @property
    def confidence(self) -> int:
        return GREATEST_CONFIDENCE[self.evidence]


class Sighting(NamedTuple):
    """What an iBeacon sends: its owner's UUID and two numbers of 16 bits."""

    uuid: UUID
    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Beacon:
    beacon_id: str
    store_id: str
    sighting: Sighting


class CodeUnknown(Malformed):
    """Not made by this installation, or for a store that is no more. Guesses are counted."""

    slug = "code_unknown"
    title = "This is no code of a store here"


class CodeExpired(Malformed):
    """A code on a screen counts while it is shown and 30 seconds longer. Scan it anew."""

    slug = "code_expired"
    title = "The code is no longer shown"


class CodeRevoked(Malformed):
    """A newer edition of the printed code hangs at the store. Scan that one."""

    slug = "code_revoked"
    title = "The printed code was replaced"


class BeaconUnknown(NotFound):
    slug = "beacon-unknown"
    title = "There is no such beacon"


class BeaconTaken(Conflict):
    """UUID, major and minor together are one beacon's. Delete that one, or number this anew."""

    slug = "beacon-taken"
    title = "Another beacon sends the same"


class EditionChanged(Conflict):
    """The edition to be revoked is not the one in force. Ask for the present code first."""

    slug = "edition-changed"
    title = "Another edition of the printed code is in force"


def unheard_of() -> Malformed:
    """The refusal of a check-in by a beacon that stands at no open store."""
    return Malformed(FieldFault(AT_BEACON, "is no beacon of an open store: register it first"))

"""Pushes that tell where somebody is, as check-ins like any other.

The check-in's id is the push's, so that what was killed between the two is settled by the receipt.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.proving import CodedStores
from services.geo_api.evidence.codes import code_key, read_code
from services.geo_api.evidence.domain import (
    CheckInKind,
    LocationGrade,
    Proof,
    Sighting,
)
from services.geo_api.offers.domain import TOO_LATE
from services.geo_api.presence.fences import Fix
from services.geo_api.wechat.pushes.domain import implied_vouch
from services.geo_api.wechat.pushes.handling.effects import Opened
from shared.datum import Datum, to_wgs84
from shared.keys import GeoKeys
from shared.lonlat import position_fault
from shared.wechat.pushes import (
    BeaconShaken,
    CodeScanned,
    LocationMessage,
    LocationReport,
    LocationSelected,
    Position,
)

SOURCE = "wechat"

CHOSEN_ACCURACY_M = 50.0
"""Of a point that somebody tapped on a map, which does not say."""

UNKNOWN_ACCURACY_M = 1_000.0
"""Of a report that does not say: too coarse to open a visit."""

MAX_ACCURACY_M = 100_000.0
_MAX_BEACON_NUMBER = 65_535


@dataclass(frozen=True, slots=True)
class Reading:
    """What a push says of a presence: a place, a proven store, or a beacon that was seen."""

    kind: CheckInKind
    grade: LocationGrade = LocationGrade.PRECISE
    datum: Datum = Datum.WGS84
    position: Position | None = None
    accuracy_m: float = 0.0
    proof: Proof | None = None
    sighting: Sighting | None = None


def check_in_of(
    opened: Opened, keys: GeoKeys, stores: CodedStores, now: datetime
) -> CheckIn | None:
    """The check-in that a push is, if it is one; ``stores`` are those open just now.

    It counts as received when the push was; one that had to wait for long, when it is handled,
    for then it is too late for offers.
    """
    reading = _read(opened, keys, stores)
    if reading is None:
        return None
    row = opened.row
    waited = now - row.received_at
    received_at = row.received_at if waited <= TOO_LATE else now
    version = opened.account.consent_version
    return CheckIn(
        check_in_id=row.push_id,
        subject_id=opened.subject_id,
        identity=opened.identity,
        kind=reading.kind,
        fix=_fix(reading),
        received=_received(reading),
        datum=reading.datum.value,
        grade=reading.grade,
        occurred_at=row.occurred_at,
        received_at=received_at,
        signals={},
        vouch=implied_vouch(version, row.occurred_at, row.received_at),
        source=SOURCE,
        request_hash=hmac.digest(keys.identity, b"push" + row.push_id.bytes, hashlib.sha256),
        proof=reading.proof,
        sighting=reading.sighting,
    )


def _read(opened: Opened, keys: GeoKeys, stores: CodedStores) -> Reading | None:
    match opened.push:
        case LocationReport(position=Position() as position, accuracy_m=accuracy_m):
            reading = Reading(
                CheckInKind.BACKGROUND,
                LocationGrade.PRECISE,
                opened.account.location_datum,
                position,
                UNKNOWN_ACCURACY_M if accuracy_m is None else min(accuracy_m, MAX_ACCURACY_M),
            )
            return _if_possible(reading)
        case (
            LocationMessage(position=Position() as position)
            | LocationSelected(position=Position() as position)
        ):
            reading = Reading(
                CheckInKind.MANUAL, LocationGrade.CHOSEN, Datum.GCJ02, position, CHOSEN_ACCURACY_M
            )
            return _if_possible(reading)
        case CodeScanned() as scanned:
            return _scanned(opened, scanned, keys, stores)
        case BeaconShaken() as shaken:
            return _shaken(shaken)
    return None


def _if_possible(reading: Reading) -> Reading | None:
    """Nobody stands where phones say that they do not know."""
    position = reading.position
    if position is None or position_fault(position.lon, position.lat) is not None:
        return None
    return reading


def _scanned(
    opened: Opened, push: CodeScanned, keys: GeoKeys, stores: CodedStores
) -> Reading | None:
    """Only a code that we signed says anything; it is judged as of when it was scanned."""
    code = read_code(code_key(keys.storage), push.result, stores.by_name.get)
    if code is None:
        return None
    edition = stores.stores[code.store_id].code_edition
    if code.fault(opened.row.occurred_at, opened.row.received_at, edition) is not None:
        return None
    return Reading(CheckInKind.STORE_QR, proof=code.proof)


def _shaken(push: BeaconShaken) -> Reading | None:
    """The beacon that the person chose; whether it is one of ours is found out with the group."""
    chosen = push.chosen
    if chosen is None or not (chosen.major.isdecimal() and chosen.minor.isdecimal()):
        return None
    try:
        sighting = Sighting(UUID(chosen.uuid), int(chosen.major), int(chosen.minor))
    except ValueError:
        return None
    if max(sighting.major, sighting.minor) > _MAX_BEACON_NUMBER:
        return None
    return Reading(CheckInKind.BEACON, sighting=sighting)


def _fix(reading: Reading) -> Fix | None:
    if reading.position is None:
        return None
    place = to_wgs84(reading.position.lon, reading.position.lat, reading.datum)
    return Fix(place.lon, place.lat, reading.accuracy_m)


def _received(reading: Reading) -> tuple[float, float] | None:
    position = reading.position
    return None if position is None else (position.lat, position.lon)

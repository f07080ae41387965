"""From the wire to a check-in: who it is about, where in WGS 84, and what is refused."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg.pgproto import pgproto
from pydantic import ValidationError

from services.geo_api.checkins.domain import MAX_AHEAD, MEMBER_BACK, CheckIn
from services.geo_api.checkins.proving import Prover
from services.geo_api.checkins.schemas import CheckInIn
from services.geo_api.presence.fences import Fix
from services.geo_api.subjects.domain import Vouch
from services.geo_api.subjects.schemas import SubjectIn
from shared.auth import Principal, Role, read_signed
from shared.contracts.events import ConsentReceipt
from shared.datum import Datum, to_wgs84
from shared.errors import FieldFault, Malformed, Unauthenticated
from shared.identity import Identity, normalise, subject_id
from shared.keys import GeoKeys
from shared.lonlat import check_position

_HASH_BYTES = 32


class Reader(NamedTuple):
    """Reads check-ins of one caller, all received at one moment."""

    keys: GeoKeys
    principal: Principal
    received_at: datetime
    prover: Prover

    def read(self, wire: CheckInIn) -> CheckIn:
        """Raises Malformed naming the field, Forbidden, and TooManyRequests for guessed codes."""
        self.prover.check_form(wire)
        identity, subject, unknown = self._subject(wire)
        fix, received = self._place(wire)
        self._check_time(wire.occurred_at)
        vouch = self._vouch(wire, subject)
        unreadable = vouch if isinstance(vouch, Malformed) else None
        proven = self.prover.read(wire, subject)
        return CheckIn(
            check_in_id=pgproto.UUID(wire.id.bytes),
            subject_id=subject,
            identity=identity,
            kind=wire.kind,
            fix=fix,
            received=received,
            datum=str(wire.datum),
            grade=wire.location_grade,
            occurred_at=wire.occurred_at,
            received_at=self.received_at,
            signals=_told(wire),
            vouch=None if isinstance(vouch, Malformed) else vouch,
            source=str(self.principal.role),
            request_hash=self._hash(wire),
            overdue=unreadable or unknown or proven.fault or self._too_far_back(wire.occurred_at),
            proof=proven.proof,
            sighting=proven.sighting,
        )

    def _place(self, wire: CheckInIn) -> tuple[Fix | None, tuple[float, float] | None]:
        """The fix in WGS 84 and the pair as it came; nothing where there are no coordinates."""
        latitude, longitude, accuracy_m = wire.latitude, wire.longitude, wire.accuracy_m
        if latitude is None or longitude is None or accuracy_m is None:
            return None, None
        position = check_position(latitude, longitude)
        if wire.datum is not Datum.WGS84:
            position = to_wgs84(longitude, latitude, wire.datum)
        return Fix(position.lon, position.lat, accuracy_m), (latitude, longitude)

    def _hash(self, wire: CheckInIn) -> bytes:
        """Keyed: a plain hash of a body would give its coordinates to whoever tries them all."""
        text = wire.model_dump_json().encode()
        return hashlib.blake2b(text, key=self.keys.identity, digest_size=_HASH_BYTES).digest()

    def _subject(self, wire: CheckInIn) -> tuple[Identity | None, UUID, Malformed | None]:
        """Who it is about, and why the code that names them no longer counts, if so."""
        code = None if wire.evidence is None else wire.evidence.member_code
        if code is None:
            return *self._named(wire.subject), None
        if wire.subject is not None:
            raise Malformed(FieldFault("/subject", "must be left out: the member's code names it"))
        return None, *self.prover.member(code)

    def _named(self, named: SubjectIn | None) -> tuple[Identity | None, UUID]:
        if self.principal.role is Role.MEMBER:
            if named is not None:
                detail = "must be left out: your token says who you are"
                raise Malformed(FieldFault("/subject", detail))
            assert self.principal.subject_id is not None  # noqa: S101 - every member token has it
            return None, self.principal.subject_id
        if named is None:
            detail = "is needed: namespace, issuer and value of the person"
            raise Malformed(FieldFault("/subject", detail))
        identity = normalise(named.namespace, named.issuer, named.value, at="/subject")
        return identity, subject_id(self.keys.identity, identity)

    def _check_time(self, occurred_at: datetime) -> None:
        if occurred_at - self.received_at > MAX_AHEAD:
            minutes = int(MAX_AHEAD.total_seconds() // 60)
            detail = f"lies more than {minutes} minutes ahead of our clock: set the device's clock"
            raise Malformed(FieldFault("/occurred_at", detail))

    def _too_far_back(self, occurred_at: datetime) -> Malformed | None:
        if self.principal.role is Role.SERVER or self.received_at - occurred_at <= MEMBER_BACK:
            return None
        hours = int(MEMBER_BACK.total_seconds() // 3600)
        detail = f"lies more than {hours} hours back; only a server key may report so late"
        return Malformed(FieldFault("/occurred_at", detail))

    def _vouch(self, wire: CheckInIn, subject: UUID) -> Vouch | Malformed | None:
        """Malformed is given back, not raised, for a receipt that may have been in date once."""
        if wire.consent is not None and self.principal.role is not Role.SERVER:
            detail = "only a server key vouches; send the consent_receipt of POST /v1/consents"
            raise Malformed(FieldFault("/consent", detail))
        if wire.consent_receipt is not None:
            return self._receipt(wire.consent_receipt, subject)
        if wire.consent is None:
            return None
        return Vouch(wire.consent.purpose, wire.consent.version, wire.consent.given_at)

    def _receipt(self, token: str, subject: UUID) -> Vouch | Malformed:
        try:
            claims = read_signed(token, self.keys.public)
            receipt = ConsentReceipt.model_validate(claims)
        except (Unauthenticated, ValidationError):
            detail = "is not a consent receipt in date; ask for a new one at POST /v1/consents"
            return Malformed(FieldFault("/consent_receipt", detail))
        if claims["iss"] != "member" or receipt.sub != subject:
            detail = "was given out for somebody else"
            raise Malformed(FieldFault("/consent_receipt", detail))
        return Vouch(receipt.purpose, receipt.version, receipt.given_at)


def _told(wire: CheckInIn) -> Mapping[str, Any]:
    """What the app said about the fix and the device, without what it left as it is."""
    told = "signals" in wire.model_fields_set
    return wire.signals.model_dump(exclude_defaults=True) if told else {}

"""Reading the evidence of a check-in: whether its form is right, and which store it proves."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from services.geo_api.checkins.schemas import CheckInIn
from services.geo_api.evidence.codes import code_key, period_of, read_code, read_member_code
from services.geo_api.evidence.domain import (
    AT_CODE,
    AT_MEMBER_CODE,
    AT_STORE,
    BY_LOCATION,
    CheckInKind,
    CodeExpired,
    CodeUnknown,
    Evidence,
    Proof,
    Sighting,
)
from shared.auth import Principal, Role
from shared.errors import FieldFault, Forbidden, Malformed
from shared.sealing import StorageKey

_NEEDED: Mapping[CheckInKind, str] = {
    CheckInKind.STORE_QR: "code",
    CheckInKind.BEACON: "beacon",
    CheckInKind.STAFF_SCAN: "store_id",
    CheckInKind.PURCHASE: "store_id",
}
"""The member of ``evidence`` that each kind rests on."""

_BY_OTHERS = frozenset({CheckInKind.STAFF_SCAN, CheckInKind.PURCHASE})
"""Kinds in which somebody else speaks for the person."""

_OLD_MEMBER_CODE = "is no longer shown: scan the code that stands on the phone now"


class CodedStore(Protocol):
    """A store, as far as its printed codes need it."""

    @property
    def code_edition(self) -> int: ...


class CodedStores(Protocol):
    """The open stores in the process's memory."""

    @property
    def stores(self) -> Mapping[str, CodedStore]: ...

    @property
    def by_name(self) -> Mapping[bytes, str]: ...


class Proven(NamedTuple):
    """What evidence came to.

    ``proof`` names the store; ``sighting`` is a beacon whose store is looked up with the group.
    ``fault`` is why it proves nothing now, though it may have done so when it was sent first.
    """

    proof: Proof | None = None
    sighting: Sighting | None = None
    fault: Malformed | None = None


NOTHING = Proven()


class Prover(NamedTuple):
    """Reads the evidence of one caller's check-ins, all received at one moment.

    ``guess`` counts a code that is none of ours against whoever brought it, and raises
    TooManyRequests when there were too many.
    """

    storage: StorageKey
    fences: CodedStores
    principal: Principal
    received_at: datetime
    guess: Callable[[str], None]

    def check_form(self, wire: CheckInIn) -> None:
        """Raises Malformed naming each field that is missing or too many, or Forbidden."""
        if wire.kind in BY_LOCATION and wire.evidence is None and _is_placed(wire):
            if self.principal.role is Role.STAFF:
                raise _only_scans()
            return
        self._check_role(wire)
        faults = [*_coordinate_faults(wire), *_evidence_faults(wire)]
        if faults:
            raise Malformed(*faults)

    def read(self, wire: CheckInIn, subject: UUID) -> Proven:
        """What the evidence proves. Raises TooManyRequests for a guesser of codes."""
        evidence = wire.evidence
        if evidence is None:
            return NOTHING
        if evidence.code is not None:
            return self._code(evidence.code, wire.occurred_at, subject)
        if evidence.beacon is not None:
            return Proven(sighting=evidence.beacon.sighting)
        assert evidence.store_id is not None  # noqa: S101 - the form was checked
        if evidence.store_id not in self.fences.stores:
            return Proven(fault=Malformed(FieldFault(AT_STORE, "names no open store")))
        return Proven(Proof(evidence.store_id, Evidence(wire.kind.value)))

    def member(self, text: str) -> tuple[UUID, Malformed | None]:
        """Whose code was scanned, and why it no longer counts, if so. Raises CodeUnknown."""
        found = read_member_code(code_key(self.storage), text)
        if found is None:
            self.guess(self.principal.scope)
            raise CodeUnknown(FieldFault(AT_MEMBER_CODE, "is no member's code"))
        subject, period = found
        if 0 <= period_of(self.received_at) - period <= 1:
            return subject, None
        return subject, CodeExpired(FieldFault(AT_MEMBER_CODE, _OLD_MEMBER_CODE))

    def _code(self, text: str, occurred_at: datetime, subject: UUID) -> Proven:
        code = read_code(code_key(self.storage), text, self.fences.by_name.get)
        if code is None:
            self.guess(subject.hex)
            return Proven(fault=CodeUnknown(FieldFault(AT_CODE, "is no code of an open store")))
        edition = self.fences.stores[code.store_id].code_edition
        fault = code.fault(occurred_at, self.received_at, edition)
        return Proven(fault=fault) if fault else Proven(code.proof)

    def _check_role(self, wire: CheckInIn) -> None:
        role = self.principal.role
        if role is Role.MEMBER and wire.kind in _BY_OTHERS:
            raise Forbidden(f"A member cannot send a {wire.kind}: the store or your server does.")
        if role is not Role.STAFF:
            return
        if wire.kind is not CheckInKind.STAFF_SCAN:
            raise _only_scans()
        if wire.evidence is not None and wire.evidence.store_id != self.principal.store_id:
            raise Forbidden("Staff check people in at their own store only.")


def _only_scans() -> Forbidden:
    return Forbidden("Staff check people in by staff_scan only.")


def _is_placed(wire: CheckInIn) -> bool:
    return wire.latitude is not None and wire.longitude is not None and wire.accuracy_m is not None


def _coordinate_faults(wire: CheckInIn) -> list[FieldFault]:
    """All three are needed where the check-in rests on them; else all or none."""
    three = {name: getattr(wire, name) for name in ("latitude", "longitude", "accuracy_m")}
    missing = [f"/{name}" for name, value in three.items() if value is None]
    if wire.kind in BY_LOCATION:
        return [FieldFault(pointer, f"is needed for kind {wire.kind}") for pointer in missing]
    if len(missing) == len(three):
        return []
    detail = (
        "is needed beside the others; leave all of latitude, longitude, accuracy_m out, or none"
    )
    return [FieldFault(pointer, detail) for pointer in missing]


def _evidence_faults(wire: CheckInIn) -> list[FieldFault]:
    if wire.evidence is None:
        if wire.kind in BY_LOCATION:
            return []
        return [FieldFault("/evidence", f"is needed for kind {wire.kind}")]
    if wire.kind in BY_LOCATION:
        return [FieldFault("/evidence", f"does not belong to kind {wire.kind}: leave it out")]
    needed = _NEEDED[wire.kind]
    fitting = {needed, "member_code"} if wire.kind is CheckInKind.STAFF_SCAN else {needed}
    given = wire.evidence.model_dump(exclude_none=True).keys()
    faults = [
        FieldFault(f"/evidence/{name}", f"does not belong to kind {wire.kind}: leave it out")
        for name in sorted(given - fitting)
    ]
    if needed not in given:
        faults.append(FieldFault(f"/evidence/{needed}", f"is needed for kind {wire.kind}"))
    return faults

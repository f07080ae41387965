"""The wire form of check-ins."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.geo_api.checkins.domain import CheckInStatus
from services.geo_api.evidence.codes import MAX_CODE
from services.geo_api.evidence.domain import CheckInKind, Evidence, LocationGrade
from services.geo_api.evidence.schemas import SightingIn
from services.geo_api.presence.domain import ClosedBy, Transition
from services.geo_api.presence.ranking import Verdict as PlaceVerdict
from services.geo_api.presence.rule import Reason, Standing
from services.geo_api.subjects.domain import NotRecorded
from services.geo_api.subjects.schemas import SubjectIn
from services.geo_api.trust.domain import Signal
from shared.contracts.events import Purpose
from shared.datum import Datum
from shared.ids import Slug
from shared.wire import Latitude, Longitude, Moment, Number, WireModel, texts

MAX_ACCURACY_M = 100_000
MAX_RECEIPT = 2_000


class SignalsIn(WireModel):
    """What the app says about its fix and the device; speed in metres per second.

    ``mocked``: a program made the position up; ``compromised``: the device is rooted or tampered
    with; ``proxy``: it talks through a proxy or VPN.
    """

    mocked: bool = False
    compromised: bool = False
    proxy: bool = False
    speed_mps: Annotated[Number, Field(ge=0, le=1_000)] | None = None
    source: str | None = None

    _storable = texts("source")


class ConsentIn(WireModel):
    """The caller vouches that it holds this consent of the person."""

    purpose: Purpose
    version: Annotated[str, Field(min_length=1, max_length=64)]
    given_at: Moment

    _storable = texts("version")


CHECK_IN_EXAMPLE: dict[str, Any] = {
    "id": "0198f1c2-7a30-7b54-9c1d-2f6a52d0c001",
    "kind": "manual",
    "latitude": 40.7419,
    "longitude": -73.9893,
    "datum": "wgs84",
    "accuracy_m": 15,
    "occurred_at": "2026-11-20T12:00:00-05:00",
    "subject": {"namespace": "app_user", "issuer": "demo", "value": "42"},
    "signals": {"mocked": False},
    "consent": {
        "purpose": "visit_history",
        "version": "2026-11",
        "given_at": "2026-11-20T09:00:00Z",
    },
}


class EvidenceIn(WireModel):
    """What proves the store: ``code`` for a store_qr, ``beacon`` for a beacon, else ``store_id``.

    ``member_code``, on a staff_scan, says who it is in place of ``subject``. The store must not be
    closed for good when the check-in is received, whenever it occurred: else 422 at that member.
    """

    code: Annotated[str, Field(max_length=MAX_CODE)] | None = None
    beacon: SightingIn | None = None
    store_id: Slug | None = None
    member_code: Annotated[str, Field(max_length=MAX_CODE)] | None = None


class CheckInIn(WireModel):
    """One report of a presence. Degrees in ``datum``; ``accuracy_m`` is the 68 % radius in metres.

    A manual or background one needs the coordinates, the other kinds need ``evidence`` and may
    leave all three of latitude, longitude and accuracy_m out.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [CHECK_IN_EXAMPLE]})

    id: UUID
    kind: CheckInKind
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    datum: Datum = Datum.WGS84
    accuracy_m: Annotated[Number, Field(ge=0, le=MAX_ACCURACY_M)] | None = None
    location_grade: LocationGrade = LocationGrade.PRECISE
    evidence: EvidenceIn | None = None
    occurred_at: Moment
    subject: SubjectIn | None = None
    signals: SignalsIn = SignalsIn()
    consent: ConsentIn | None = None
    consent_receipt: Annotated[str, Field(max_length=MAX_RECEIPT)] | None = None

    _storable = texts("consent_receipt")


class TrustOut(BaseModel):
    """``score`` 100: nothing speaks against it; ``signals`` are the names of what does."""

    score: int
    signals: list[Signal]


class CheckInOut(BaseModel):
    """``trust`` is null for what was not recorded."""

    id: UUID
    status: CheckInStatus
    reason: NotRecorded | None
    trust: TrustOut | None


class MatchOut(BaseModel):
    """``distance_m`` to the fence's boundary, negative inside; ``overlap`` and ``share`` 0 to 1.

    They are the ground that accuracy circle and fence have in common, of the smaller of the two
    and of the circle. All three are null in the repeat of an answer older than seven days, and with the geofence where
    other ``evidence`` than coordinates proves the store.
    """

    store_id: str
    geofence_id: str | None
    geofence_version: int | None
    evidence: Evidence
    inside: bool
    distance_m: float | None
    overlap: float | None
    share: float | None
    confidence: int
    transition: Transition | None


class CandidateOut(BaseModel):
    store_id: str
    likelihood: float


class PlaceOut(BaseModel):
    """The one store the person is likeliest in; null where none is clearly likelier than the next.

    ``candidates`` are likeliest first and sum to 1; there are none in the repeat of an answer
    older than seven days.
    """

    store_id: str | None
    verdict: PlaceVerdict
    candidates: list[CandidateOut]


class VisitOut(BaseModel):
    """``state`` is open, exited, expired, or retracted where late fixes dissolved the visit."""

    id: UUID
    store_id: str
    state: str
    entered_at: datetime
    last_inside_at: datetime
    left_at: datetime | None
    closed_by: ClosedBy | None


class CouponOut(BaseModel):
    """``code`` is null in the repeat of an answer older than seven days; see GET /v1/coupons."""

    id: UUID
    offer_id: str
    title: str
    code: str | None
    store_id: str
    benefit: dict[str, Any]
    valid_until: datetime


class InvitationOut(BaseModel):
    token: str
    url: str
    expires_at: datetime


class DecisionOut(BaseModel):
    offer_id: str
    offer_version: int
    store_id: str | None
    granted: bool
    reason: str | None


class ConsideredOut(BaseModel):
    """A geofence that was looked at, near misses included: where the fix stands, and why."""

    store_id: str
    geofence_id: str
    geofence_version: int
    distance_m: float
    overlap: float
    least_overlap: float
    share: float
    confidence: int
    standing: Standing
    reason: Reason


class DoubtOut(BaseModel):
    """A signal, what it takes off the score, why, and the numbers behind it."""

    model_config = ConfigDict(extra="allow")

    signal: Signal
    weight: int
    reason: str


class AnswerOut(BaseModel):
    """What a check-in gives back; a repeat gives the same.

    With ``?explain=true``: the ``rule`` of arrival, what it ``considered``, ``clear_beyond_m`` how
    far from an edge the fix is surely outside, the ``decisions`` on offers, and the ``doubts``
    that took from the trust.
    """

    check_in: CheckInOut
    matches: list[MatchOut]
    place: PlaceOut | None
    visits: list[VisitOut]
    coupons: list[CouponOut]
    invitation: InvitationOut | None
    rule: str | None = None
    clear_beyond_m: float | None = None
    considered: list[ConsideredOut] | None = None
    decisions: list[DecisionOut] | None = None
    doubts: list[DoubtOut] | None = None

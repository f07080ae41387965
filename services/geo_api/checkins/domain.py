"""A check-in: what comes in, what it means at each store, and what is answered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.geo_api.presence.domain import Fix
from services.geo_api.presence.fences import FenceMatch
from services.geo_api.presence.rule import ArrivalRule
from services.geo_api.presence.verdict import Sighting, Verdict, Zoned, judge
from services.geo_api.subjects.domain import Vouch
from shared.errors import Malformed
from shared.identity import Identity
from shared.lonlat import LonLat

MAX_AHEAD = timedelta(minutes=5)
"""A device's clock may be so far ahead of ours; a later fix is refused."""

MEMBER_BACK = timedelta(hours=72)
"""So far back a member's own token may report; server keys may go back to 2000-01-01."""

TOO_LATE = timedelta(minutes=10)
"""A fix older than this when it is received grants nothing and invites nobody."""


class CheckInKind(StrEnum):
    """How the report came about."""

    MANUAL = "manual"
    BACKGROUND = "background"


class CheckInStatus(StrEnum):
    ACCEPTED = "accepted"
    NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True)
class CheckIn:
    """One location report, read and brought to WGS 84.

    ``received_latitude``, ``received_longitude`` are the pair as it came, in ``datum``.
    ``identity`` is present where the caller named the subject; ``source`` is the caller's role.
    ``request_hash`` tells a repeat from another check-in under the same id. ``overdue`` is why it
    cannot be taken any more, unless it was taken before: time alone makes no repeat malformed.
    """

    check_in_id: UUID
    subject_id: UUID
    identity: Identity | None
    kind: CheckInKind
    position: LonLat
    received_latitude: float
    received_longitude: float
    datum: str
    accuracy_m: float
    occurred_at: datetime
    received_at: datetime
    signals: Mapping[str, Any]
    vouch: Vouch | None
    source: str
    request_hash: bytes
    overdue: Malformed | None = None

    @property
    def key(self) -> tuple[UUID, UUID]:
        return self.subject_id, self.check_in_id

    @property
    def is_too_late(self) -> bool:
        return self.received_at - self.occurred_at > TOO_LATE


def judged(
    check_in: CheckIn,
    matches: Sequence[FenceMatch],
    stores: Mapping[str, Zoned],
    rule: ArrivalRule,
) -> Verdict:
    """What a check-in says of the stores near it; ``matches`` are ordered by distance."""
    is_manual = check_in.kind is CheckInKind.MANUAL
    sighting = Sighting(check_in.accuracy_m, check_in.occurred_at, is_manual)
    return judge(matches, sighting, stores, rule)


def as_fix(check_in: CheckIn, verdict: Verdict) -> Fix:
    return Fix(
        check_in.check_in_id,
        check_in.occurred_at,
        check_in.received_at,
        verdict.arrives,
        verdict.tentative,
        verdict.uncertain,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets: a status, the exact JSON body, and an object that explains it."""

    http_status: int
    body: bytes
    explanation: bytes

    def explained(self) -> bytes:
        """The body with the members of the explanation."""
        return self.body[:-1] + b"," + self.explanation[1:]

    def numbered(self, line: int) -> bytes:
        """The body as a line of a batch answer."""
        return b'{"line":%d,"http_status":%d,' % (line, self.http_status) + self.body[1:]


def distinct(check_ins: Iterable[CheckIn]) -> dict[tuple[UUID, UUID], CheckIn]:
    """The first check-in of each (subject, id)."""
    first: dict[tuple[UUID, UUID], CheckIn] = {}
    for check_in in check_ins:
        first.setdefault(check_in.key, check_in)
    return first

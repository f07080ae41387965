"""A check-in: what comes in, what it means at each store, and what is answered."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from services.geo_api.evidence.domain import (
    GREATEST_CONFIDENCE,
    OF_GRADE,
    CheckInKind,
    Evidence,
    LocationGrade,
    Proof,
    Sighting,
)
from services.geo_api.offers.domain import TOO_LATE
from services.geo_api.presence.domain import Fix
from services.geo_api.presence.fences import FenceMatch
from services.geo_api.presence.fences import Fix as Position
from services.geo_api.presence.rule import BLURRED, ArrivalRule
from services.geo_api.presence.verdict import (
    ANY_STORE,
    CHOSEN_POINT,
    Considered,
    Verdict,
    Zoned,
    judge,
)
from services.geo_api.presence.verdict import Sighting as Seen
from services.geo_api.subjects.domain import Vouch
from shared.errors import Malformed
from shared.identity import Identity

MAX_AHEAD = timedelta(minutes=5)
"""A device's clock may be so far ahead of ours; a later fix is refused."""

MEMBER_BACK = timedelta(hours=72)
"""So far back a member's own token may report; server keys may go back to 2000-01-01."""


class CheckInStatus(StrEnum):
    ACCEPTED = "accepted"
    NOT_RECORDED = "not_recorded"


class CheckIn(NamedTuple):
    """One report of a presence, read and brought to WGS 84.

    ``fix`` is None where evidence came without coordinates; ``received`` is the pair as it came,
    (latitude, longitude) in ``datum``. ``proof`` is the store that evidence names, ``sighting`` a
    beacon whose store is not known yet.
    ``identity`` is present where the caller named the subject; ``source`` is the caller's role.
    ``request_hash`` tells a repeat from another check-in under the same id. ``overdue`` is why it
    cannot be taken any more, unless it was taken before: time alone makes no repeat malformed.
    """

    check_in_id: UUID
    subject_id: UUID
    identity: Identity | None
    kind: CheckInKind
    fix: Position | None
    received: tuple[float, float] | None
    datum: str
    grade: LocationGrade
    occurred_at: datetime
    received_at: datetime
    signals: Mapping[str, Any]
    vouch: Vouch | None
    source: str
    request_hash: bytes
    overdue: Malformed | None = None
    proof: Proof | None = None
    sighting: Sighting | None = None

    @property
    def evidence(self) -> Evidence:
        """What it rests on: the proof where there is one, else the coordinates."""
        return OF_GRADE[self.grade] if self.proof is None else self.proof.evidence

    @property
    def accuracy_m(self) -> float | None:
        """The 68 % radius in metres."""
        return None if self.fix is None else self.fix.accuracy_m

    @property
    def key(self) -> tuple[UUID, UUID]:
        return self.subject_id, self.check_in_id

    @property
    def is_too_late(self) -> bool:
        """So old when it was received that it grants nothing and invites nobody."""
        return self.received_at - self.occurred_at > TOO_LATE


def judged(
    check_in: CheckIn,
    matches: Sequence[FenceMatch],
    stores: Mapping[str, Zoned],
    rule: ArrivalRule,
    *,
    unfenced: bool = False,
) -> Verdict:
    """What a check-in says of the stores near it; ``matches`` are ordered by distance.

    Only a precise fix says that one is elsewhere. A fuzzy one says nothing but what is near.
    ``unfenced``: the store that is proven has no geofence, which is then uncertain, too.
    """
    fix, proof, grade = check_in.fix, check_in.proof, check_in.grade
    if fix is not None and proof is None and grade is LocationGrade.PRECISE:
        is_manual = check_in.kind is CheckInKind.MANUAL
        return judge(matches, Seen(fix.accuracy_m, check_in.occurred_at, is_manual), stores, rule)
    limit = GREATEST_CONFIDENCE[OF_GRADE[grade]]
    believed = [match._replace(confidence=min(match.confidence, limit)) for match in matches]
    if grade is LocationGrade.FUZZY:
        believed = [match._replace(inside=False) for match in believed]
    seen = Seen(
        math.inf if fix is None else fix.accuracy_m,
        check_in.occurred_at,
        manual=grade is LocationGrade.CHOSEN,
        proven={} if proof is None else {proof.store_id: proof.confidence},
    )
    verdict = judge(believed, seen, stores, rule)
    if unfenced:
        verdict = verdict._replace(uncertain=verdict.uncertain | verdict.proven.keys())
    if grade is LocationGrade.FUZZY:
        blurred = tuple(Considered(one.match, *BLURRED) for one in verdict.considered)
        proven = frozenset(verdict.proven)
        return verdict._replace(
            arrives=proven,
            tentative=_NONE,
            uncertain=_ANY | (proven & verdict.uncertain),
            considered=blurred,
        )
    if grade is LocationGrade.CHOSEN:
        return verdict._replace(uncertain=verdict.uncertain | _ANY | {CHOSEN_POINT})
    if fix is None:
        return verdict._replace(uncertain=verdict.uncertain | _ANY)
    return verdict


_NONE: frozenset[str] = frozenset()
_ANY = frozenset({ANY_STORE})


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

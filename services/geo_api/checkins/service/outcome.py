"""What a group works with, and what gathers on each of its check-ins on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.geo_api.checkins.domain import Answer, CheckIn
from services.geo_api.checkins.service.exact import DayKeys
from services.geo_api.invitations.service import Inviter, ShownInvitation
from services.geo_api.offers.domain import Decision, GrantedCoupon, OfferBook, Presence
from services.geo_api.offers.service.grants import GrantContext
from services.geo_api.outreach.service import CurrentWriters
from services.geo_api.presence.domain import Change, Transition
from services.geo_api.presence.matching import FenceIndex, FenceMatch
from services.geo_api.presence.ranking import Ranking
from services.geo_api.presence.rule import ArrivalRule
from services.geo_api.presence.track import Track
from services.geo_api.presence.verdict import NOWHERE, Verdict, Zoned
from services.geo_api.subjects.domain import SubjectState, Vouch
from services.geo_api.trust.domain import FULL, Trust
from shared.feed.tables import FeedTables
from shared.identity import Identity
from shared.keys import GeoKeys


class CurrentFences(Protocol):
    """The fences in force, as an adapter keeps them in memory."""

    @property
    def current(self) -> "FencesInForce": ...


class FencesInForce(Protocol):
    @property
    def index(self) -> FenceIndex: ...

    @property
    def stores(self) -> Mapping[str, "StoreInForce"]: ...

    @property
    def version(self) -> int: ...


class StoreInForce(Zoned, Protocol):
    @property
    def tags(self) -> frozenset[str]: ...

    @property
    def position(self) -> tuple[float, float]: ...

    def is_open(self, at: datetime) -> bool: ...


class CurrentOffers(Protocol):
    @property
    def current(self) -> OfferBook: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What deciding needs besides the database: the process's memory, keys, ids and rule."""

    fences: CurrentFences
    offers: CurrentOffers
    keys: GeoKeys
    inviter: Inviter
    day_keys: DayKeys
    feed_tables: FeedTables
    new_id: Callable[[], UUID]
    rule: ArrivalRule
    writers: CurrentWriters

    def grant_context(self, now: datetime) -> GrantContext:
        return GrantContext(now=now, storage=self.keys.storage, new_id=self.new_id)


@dataclass(slots=True)
class Outcome:
    """An admitted check-in with everything decided about it.

    ``counts`` off: it came too late to change visits, and never will. ``sighted_as`` stands for its
    coordinates, where others' may be the same.
    """

    check_in: CheckIn
    consent: Vouch
    verdict: Verdict = NOWHERE
    counts: bool = True
    changes: Sequence[Change] = ()
    transitions: Mapping[str, Transition] = field(default_factory=dict)
    matches: Sequence[tuple[FenceMatch, Transition | None]] = ()
    ranking: Ranking | None = None
    presences: tuple[Presence, ...] = ()
    trust: Trust = FULL
    sighted_as: bytes | None = None
    coupons: Sequence[GrantedCoupon] = ()
    decisions: Sequence[Decision] = ()
    invitation: ShownInvitation | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A group on its way to the tables.

    ``outcomes`` are ordered by occurrence, ``states`` are the locked subjects, ``told`` the
    identities that member_api was not told of before.
    """

    outcomes: Sequence[Outcome]
    tracks: Mapping[UUID, Track]
    states: Mapping[UUID, SubjectState]
    told: Mapping[UUID, Identity]

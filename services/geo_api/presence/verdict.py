"""What one fix says of every store near it: the rule of arrival, over all its geofences."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from services.geo_api.places.schedules import in_force
from services.geo_api.presence.fences import FenceMatch
from services.geo_api.presence.rule import DEFAULT_RULE, NOT_IN_FORCE, ArrivalRule, Reason, Standing

ANY_STORE = "*"
"""Among the uncertain stores of a fix: it is so coarse that it says of no store "outside"."""

VAGUE = "?"
"""Among the uncertain stores of a fix: that one is outside of the others needs a second fix."""

CHOSEN_POINT = "@"
"""Among the uncertain stores of a fix: somebody chose its place, so it bears out no other fix."""

_STANDINGS = tuple(Standing)
"""From the strongest on."""
_NOBODY: frozenset[str] = frozenset()
_NOTHING_PROVEN: Mapping[str, int] = MappingProxyType({})


class Zoned(Protocol):
    """A store, as far as its geofences' schedules need it."""

    @property
    def timezone(self) -> str: ...


class Sighting(NamedTuple):
    """How a fix came: all that counts beside its place.

    ``accuracy_m`` is the 68 % radius, ``at`` when it occurred. ``manual``: the person pressed a
    button. ``proven`` are stores at which something proves the presence without coordinates
    (a code shown there, the staff's scan), with the confidence that this kind of proof deserves.
    """

    accuracy_m: float
    at: datetime
    manual: bool = False
    proven: Mapping[str, int] = _NOTHING_PROVEN


class Considered(NamedTuple):
    """A geofence that was looked at, near misses included, and what came of it.

    What a single fix would have needed is ``ArrivalRule.least_overlap`` of its fence.
    """

    match: FenceMatch
    standing: Standing
    reason: Reason


class Verdict(NamedTuple):
    """Where a fix places the subject: each store by the strongest of its geofences.

    Every store in none of the three sets is outside; one both tentative and uncertain has a
    geofence there that is not in force. ``matches`` holds only what is answered: an
    overlap, or inside, of a geofence in force; ``considered`` all that was looked at, both ordered
    by distance, deepest inside first.
    """

    arrives: frozenset[str] = _NOBODY
    tentative: frozenset[str] = _NOBODY
    uncertain: frozenset[str] = _NOBODY
    matches: tuple[FenceMatch, ...] = ()
    considered: tuple[Considered, ...] = ()
    proven: Mapping[str, int] = _NOTHING_PROVEN

    @property
    def deepest_store(self) -> str | None:
        """A store that is proven, else whose boundary is farthest within; ties by geofence id."""
        if not self.proven and self.matches and self.matches[0].inside:
            return self.matches[0].fence.store_id
        return min(self.proven, default=None)

    def in_doubt_of(self, stores: frozenset[str]) -> "Verdict":
        """The same, saying nothing of ``stores`` rather than that the subject is outside."""
        doubtful = stores - self.arrives - self.tentative
        return self._replace(uncertain=self.uncertain | doubtful)

    def without(self, stores: frozenset[str]) -> "Verdict":
        """The same, saying nothing of ``stores`` rather than that the subject is inside."""
        return self._replace(
            arrives=self.arrives - stores,
            tentative=self.tentative - stores,
            uncertain=self.uncertain | stores,
        )


NOWHERE = Verdict()

SOMEWHERE_ELSE = Verdict(uncertain=frozenset({VAGUE}))
"""What a vague fix says that is near to no geofence."""


def judge(
    matches: Sequence[FenceMatch],
    sighting: Sighting,
    stores: Mapping[str, Zoned],
    rule: ArrivalRule = DEFAULT_RULE,
) -> Verdict:
    """Apply the rule of arrival to the geofences near a fix.

    ``matches`` come ordered by distance, deepest inside first. A geofence whose schedule is not
    in force at the fix's own time does not count, but who is there was not seen to leave.
    """
    sees_all = rule.says_outside(sighting.accuracy_m)
    is_vague = rule.is_vague(sighting.accuracy_m)
    if not matches and not sighting.proven and sees_all:
        return SOMEWHERE_ELSE if is_vague else NOWHERE
    considered = [_consider(match, sighting, stores, rule) for match in matches]
    found: dict[Standing, set[str]] = {standing: set() for standing in _STANDINGS}
    found[Standing.ARRIVES].update(sighting.proven)
    counted = []
    shut: set[str] = set()
    for match, standing, reason in considered:
        found[standing].add(match.fence.store_id)
        if reason is Reason.FENCE_NOT_IN_FORCE:
            if match.distance_m <= rule.clear_at_m(sighting.accuracy_m):
                shut.add(match.fence.store_id)
        elif match.inside or match.overlap > 0:
            counted.append(match)
    arrives, tentative, uncertain, _ = found.values()
    tentative -= arrives
    uncertain -= arrives
    uncertain -= tentative
    if shut:
        shut -= arrives | tentative | uncertain
        tentative |= shut
        uncertain |= shut
    if not sees_all:
        uncertain.add(ANY_STORE)
    elif is_vague:
        uncertain.add(VAGUE)
    return Verdict(
        _frozen(arrives),
        _frozen(tentative),
        _frozen(uncertain),
        tuple(counted),
        tuple(considered),
        sighting.proven,
    )


def _consider(
    match: FenceMatch, sighting: Sighting, stores: Mapping[str, Zoned], rule: ArrivalRule
) -> Considered:
    fence = match.fence
    if fence.schedule is not None:
        store = stores.get(fence.store_id)
        zone = store.timezone if store is not None else "UTC"
        if not in_force(fence.schedule, zone, sighting.at):
            return Considered(match, *NOT_IN_FORCE)
    return Considered(match, *rule.stand(match, sighting.accuracy_m, manual=sighting.manual))


def _frozen(stores: set[str]) -> frozenset[str]:
    return frozenset(stores) if stores else _NOBODY

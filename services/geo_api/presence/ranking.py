"""Which of several stores around a fix the person is most likely in, or that nobody can tell.

In a mall the error circle of one fix covers many shops; each may well be matched, but a person is
in one. Bayes' rule over the candidates: how likely each is beforehand, times how well it explains
the fix.

- *The fix.* A phone's accuracy is the radius that holds the truth in 68 of 100 cases. That mass
  is spread evenly over the circle, so a store has ``0.68 * share``; the rest lies outside, falls
  off with the distance to the edge as in a normal distribution, and a store smaller than the
  circle has room for no more of it than their areas are to each other.
- *The size.* Given that a person is in a store, she is somewhere in it: the same mass speaks the
  more for a store the smaller it is. But a larger store has more visitors, about with the root of
  its area, which leaves a division by the inradius. So an exact fix in a kiosk is in the kiosk and
  not in the mall around it, while a vague one is in the mall.
- *The store.* Nobody is likely to be in a closed one, and who was in a store a moment ago is
  likely there still.

Sources: Android ``Location.getAccuracy`` (68th percentile radius); Radar's places, which keep a
person in a place while she is within its exit radius instead of switching to a neighbour.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

CLOSED_PRIOR = 0.1
"""People do stand in closed shops, staff and whoever is let out last, but few of them."""

PRESENT_PRIOR = 2.0
"""Having been in a store with the fix before speaks for it twice as loud."""

CLEAR_MARGIN = 0.2
"""So much likelier than the second a winner is; two equal neighbours leave none."""

_MASS_WITHIN = 0.68
_RADII_PER_SIGMA = math.sqrt(-2 * math.log(1 - _MASS_WITHIN))
"""A circle of so many standard deviations holds that mass (Rayleigh distribution)."""

_LEAST_INRADIUS_M = 3.0
"""No store is narrower than a stall; less is a slip of the pen that would win every time."""

_DIGITS = 12


class Verdict(StrEnum):
    """Whether one store wins, and why."""

    NONE = "none"
    ONLY = "only"
    CLEAR = "clear"
    AMBIGUOUS = "ambiguous"


class Near(NamedTuple):
    """A geofence that a fix matched.

    ``distance_m`` to its edge is negative inside; ``share`` is the part of the accuracy circle
    that lies in it, from 0 to 1; ``inradius_m`` the radius of the largest circle within it.
    """

    store_id: str
    geofence_id: str
    distance_m: float
    share: float
    inradius_m: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A store by the geofence that speaks for it most. The probabilities of all sum to 1."""

    store_id: str
    geofence_id: str
    probability: float
    distance_m: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Likeliest first; ``winner`` is None for none and where it is ambiguous."""

    candidates: tuple[Candidate, ...]
    winner: str | None
    verdict: Verdict


def rank(
    near: Iterable[Near],
    accuracy_m: float,
    *,
    closed: Collection[str] = (),
    present: Collection[str] = (),
) -> Ranking:
    """The stores of the matches by likelihood, and the one that wins by a margin of 0.2.

    ``accuracy_m`` is the fix's 68 % radius; ``closed`` are the stores closed at the time of the
    fix, ``present`` those with a visit going on. Equal ones are ordered by distance, then by id,
    so the order of ``near`` never matters. A fix that no store explains leaves them equal.
    """
    weights: dict[str, tuple[float, Near]] = {}
    for match in sorted(near, key=lambda match: (match.distance_m, match.geofence_id)):
        weight = _weight(match, accuracy_m, closed=closed, present=present)
        if match.store_id not in weights or weight > weights[match.store_id][0]:
            weights[match.store_id] = weight, match
    if not weights:
        return Ranking((), None, Verdict.NONE)
    total = math.fsum(weight for weight, _ in weights.values())
    candidates = sorted(
        (
            Candidate(
                match.store_id,
                match.geofence_id,
                weight / total if total > 0 else 1 / len(weights),
                match.distance_m,
            )
            for weight, match in weights.values()
        ),
        key=lambda c: (-round(c.probability, _DIGITS), c.distance_m, c.store_id),
    )
    return _judged(tuple(candidates))


def _judged(candidates: tuple[Candidate, ...]) -> Ranking:
    first, *others = candidates
    if not others:
        return Ranking(candidates, first.store_id, Verdict.ONLY)
    if first.probability - others[0].probability < CLEAR_MARGIN:
        return Ranking(candidates, None, Verdict.AMBIGUOUS)
    return Ranking(candidates, first.store_id, Verdict.CLEAR)


def _weight(
    match: Near, accuracy_m: float, *, closed: Collection[str], present: Collection[str]
) -> float:
    prior = CLOSED_PRIOR if match.store_id in closed else 1.0
    if match.store_id in present:
        prior *= PRESENT_PRIOR
    return prior * _mass(match, accuracy_m) / max(match.inradius_m, _LEAST_INRADIUS_M)


def _mass(match: Near, accuracy_m: float) -> float:
    """How much of where the person may be lies in the geofence, from 0 to 1."""
    if accuracy_m <= 0:
        return 1.0 if match.distance_m <= 0 else 0.0
    sigmas = match.distance_m * _RADII_PER_SIGMA / accuracy_m
    beyond = math.erfc(sigmas / math.sqrt(2)) / 2
    room = min(1.0, match.inradius_m / accuracy_m) ** 2
    return _MASS_WITHIN * match.share + (1 - _MASS_WITHIN) * beyond * room

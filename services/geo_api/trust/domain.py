"""How far a check-in is to be trusted: what speaks against it, with the numbers, and a score.

Nothing here refuses a check-in. Each signal takes its weight off 100; offers may ask for what is
left. The names are those of Radar's fraud signals where it has one, so that whoever comes from
there knows them; Radar publishes no limits, so these are our own, each with its reason.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from shared.lonlat import LonLat, distance_m

MAX_SCORE = 100


class Signal(StrEnum):
    """What speaks against a check-in."""

    MOCKED = "mocked"
    COMPROMISED = "compromised"
    PROXY = "proxy"
    INACCURATE = "inaccurate"
    JUMPED_SINGLE_DEVICE = "jumped_single_device"
    JUMPED_MULTIPLE_DEVICES = "jumped_multiple_devices"
    SHARING = "sharing"
    STALE = "stale"
    FUTURE = "future"
    DATUM_MISTAKE = "datum_mistake"
    FAR_FROM_EVIDENCE = "far_from_evidence"


class Weighed(NamedTuple):
    """What a signal takes off the score, and what it says in an explanation."""

    weight: int
    reason: str


WEIGHTS: Mapping[Signal, Weighed] = {
    Signal.MOCKED: Weighed(70, "The device itself says that an app made the position up."),
    Signal.JUMPED_SINGLE_DEVICE: Weighed(
        60, "The device would have travelled faster than anything that carries people."
    ),
    Signal.FAR_FROM_EVIDENCE: Weighed(
        60, "The position lies far from the store that the evidence names."
    ),
    Signal.COMPROMISED: Weighed(40, "The app says that the device is rooted or tampered with."),
    Signal.SHARING: Weighed(
        30, "Somebody else reported exactly the same coordinates on the same day."
    ),
    # A tablet left at home also jumps, so by itself this costs little.
    Signal.JUMPED_MULTIPLE_DEVICES: Weighed(
        25, "Another identity of the same person was too far away to be the same body."
    ),
    Signal.PROXY: Weighed(15, "The app says that it talks through a proxy or VPN."),
    Signal.INACCURATE: Weighed(10, "The error circle is too wide to tell one store from the next."),
    Signal.STALE: Weighed(10, "The position was old when it arrived."),
    Signal.FUTURE: Weighed(10, "The device's clock runs ahead of ours."),
    Signal.DATUM_MISTAKE: Weighed(
        10, "The position lies at a store only if read in another coordinate system."
    ),
}
"""The one table of signals. What can hardly be innocent takes more than half, so that an offer
that asks for 50 is safe from it; two small doubts do not reach that."""

INACCURATE_M = 200.0
"""A wider 68 % radius opens no visit either (the rule of arrival)."""

STALE_AFTER = timedelta(minutes=10)
"""From then on a check-in is granted nothing anyway (``too_late``)."""

FUTURE_FROM = timedelta(seconds=60)
"""Phones keep time within seconds; 5 minutes ahead are refused outright."""

GROUND_MPS = 125.0
"""450 km/h. The fastest trains run 431 (Shanghai's maglev, by timetable until 2021) and 400 (CR450)."""

AIR_MPS = 300.0
"""1,080 km/h over the ground: an airliner's 900 with a strong jet stream behind it."""

AIR_FROM_M = 150_000.0
"""Nearly no scheduled flight is shorter, so below it the limit on the ground counts."""

JUMP_FROM_M = 500.0
"""Beyond both accuracies. Between high buildings a fix strays some hundred metres by itself."""

SIBLING_WITHIN = timedelta(minutes=30)
"""Another device that was silent for longer says little about where the person is now."""

FAR_M = 300.0
"""Beyond the fence's edge and the accuracy: indoors a phone is easily wrong by a hundred metres."""

_EXACT_DECIMALS = 4
_METRES_PER_DEGREE = 111_000.0
"""Below the length of any degree of latitude on the ellipsoid but those near the equator by 0.4 %."""


class Place(NamedTuple):
    """Where and when a subject was: degrees in WGS 84, the 68 % radius in metres.

    A tuple, since two are made for every check-in.
    """

    lon: float
    lat: float
    accuracy_m: float
    at: datetime


class Doubt(NamedTuple):
    """A signal with the numbers behind it."""

    signal: Signal
    numbers: Mapping[str, float | int | str]

    def as_record(self) -> dict[str, Any]:
        weighed = WEIGHTS[self.signal]
        return {
            "signal": self.signal.value,
            "weight": weighed.weight,
            "reason": weighed.reason,
            **self.numbers,
        }


@dataclass(frozen=True, slots=True)
class Trust:
    """``score`` from 0 to 100, where 100 means that nothing speaks against it."""

    score: int
    doubts: Sequence[Doubt] = ()

    @property
    def flags(self) -> list[str]:
        return [doubt.signal.value for doubt in self.doubts]


FULL = Trust(MAX_SCORE)


def trust(doubts: Iterable[Doubt]) -> Trust:
    """Weigh what speaks against a check-in; each signal counts once."""
    found = {doubt.signal: doubt for doubt in doubts}
    if not found:
        return FULL
    against = sum(WEIGHTS[signal].weight for signal in found)
    return Trust(max(0, MAX_SCORE - against), [*found.values()])


def told_by_app(signals: Mapping[str, Any]) -> list[Doubt]:
    """What the app itself says: ``mocked``, ``compromised``, ``proxy``."""
    if not signals:
        return []
    told = (Signal.MOCKED, Signal.COMPROMISED, Signal.PROXY)
    return [Doubt(signal, {}) for signal in told if signals.get(signal.value) is True]


def by_time(occurred_at: datetime, received_at: datetime) -> Doubt | None:
    """``stale`` or ``future``, with the age in seconds."""
    age = received_at - occurred_at
    if -FUTURE_FROM <= age <= STALE_AFTER:
        return None
    signal = Signal.STALE if age > STALE_AFTER else Signal.FUTURE
    return Doubt(signal, {"age_s": round(age.total_seconds(), 3)})


def by_accuracy(accuracy_m: float) -> Doubt | None:
    if accuracy_m <= INACCURATE_M:
        return None
    return Doubt(Signal.INACCURATE, {"accuracy_m": accuracy_m})


def by_speed(here: Place, there: Place | None, signal: Signal) -> Doubt | None:
    """Whether getting from one place to the other was faster than travel, whichever came first.

    Both accuracies are subtracted from the distance, and less than a second counts as one.
    """
    if there is None or _surely_near(here, there):
        return None
    whole_m = distance_m(LonLat(here.lon, here.lat), LonLat(there.lon, there.lat))
    distance = whole_m - here.accuracy_m - there.accuracy_m
    if distance < JUMP_FROM_M:
        return None
    apart_s = max(1.0, abs((here.at - there.at).total_seconds()))
    limit_mps = AIR_MPS if whole_m >= AIR_FROM_M else GROUND_MPS
    if distance <= limit_mps * apart_s:
        return None
    numbers = {
        "distance_m": round(whole_m),
        "accuracies_m": round(here.accuracy_m + there.accuracy_m),
        "apart_s": round(apart_s, 3),
        "speed_mps": round(distance / apart_s, 1),
        "limit_mps": limit_mps,
    }
    return Doubt(signal, numbers)


def by_siblings(here: Place, others: Iterable[Place]) -> Doubt | None:
    """The first of the person's other devices that was heard of lately, and too far away."""
    for other in others:
        if abs(here.at - other.at) <= SIBLING_WITHIN:
            doubt = by_speed(here, other, Signal.JUMPED_MULTIPLE_DEVICES)
            if doubt is not None:
                return doubt
    return None


def by_sharing(person: frozenset[UUID], seen: Iterable[UUID]) -> Doubt | None:
    """``seen`` are the subjects with the same pair of the day, ``person`` those that are one."""
    others = len({*seen} - person)
    return Doubt(Signal.SHARING, {"others": others}) if others else None


def by_evidence(nearest_m: float, accuracy_m: float) -> Doubt | None:
    """``nearest_m`` is the signed distance to the proven store's nearest fence."""
    if nearest_m - accuracy_m <= FAR_M:
        return None
    return Doubt(Signal.FAR_FROM_EVIDENCE, {"distance_m": round(nearest_m)})


def is_exact(latitude: float, longitude: float) -> bool:
    """Whether a received pair is fine enough for a coincidence to mean something.

    Four decimals are 11 m: many apps round to them, and so strangers share pairs.
    """
    return (
        round(latitude, _EXACT_DECIMALS) != latitude
        or round(longitude, _EXACT_DECIMALS) != longitude
    )


def _surely_near(a: Place, b: Place) -> bool:
    """A quick word, without a geodesic, for nearly every pair: not ``JUMP_FROM_M`` apart."""
    north_m = (a.lat - b.lat) * _METRES_PER_DEGREE
    east_m = (a.lon - b.lon) * _METRES_PER_DEGREE * math.cos(math.radians(a.lat))
    reach_m = (JUMP_FROM_M + a.accuracy_m + b.accuracy_m) * _MARGIN
    return north_m * north_m + east_m * east_m < reach_m * reach_m


_MARGIN = 0.98
"""The plane's error over the few kilometres at which the quick word is given, and to spare."""

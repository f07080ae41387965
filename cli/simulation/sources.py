"""How phones see where they are: positions with an error, and an accuracy that tells its size."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cli.simulation.paths import Path
from shared.boundary import Floats

RADII_PER_SIGMA = math.sqrt(-2 * math.log(1 - 0.68))
"""A circle of so many standard deviations, 1.51, holds 68 % of a round normal distribution."""

SPREAD = 0.4
"""Of the logarithm of accuracies: two in three lie within a factor of 1.5 of the median. Ours."""

ERROR_LASTS_S = 30.0
"""The errors of fixes so far apart have a correlation of 1/e: walls and reflections stay the same
for a while. Ours; without it two fixes in a row would be more independent than they are."""


@dataclass(frozen=True, slots=True)
class Source:
    """A way to find one's position: its mean reported accuracy, and how often it is asked."""

    name: str
    accuracy_m: float
    every_s: float = 30.0


GNSS = Source("gnss", 10)
WIFI = Source("wifi", 24)
POOR_WIFI = Source("poor_wifi", 50)
CELL = Source("cell", 210)
SOURCES = (GNSS, WIFI, POOR_WIFI, CELL)
"""Mean accuracies by source: Baidu's trace service, 10, 24 and 210 m; 50 m is the end of the
20 to 50 m that Google's geofencing guide gives for Wi-Fi."""


class Seen(NamedTuple):
    """Fixes of one phone: seconds, metres east and north, the reported 68 % radius."""

    times_s: Floats
    east_m: Floats
    north_m: Floats
    accuracy_m: Floats


def observe(path: Path, source: Source, chance: np.random.Generator) -> Seen:
    """What a phone reports of a way.

    Accuracies are log-normal with the source's mean. The error is a round normal distribution
    whose 68 % circle is exactly the accuracy reported (so reports are honest; Android
    ``Location.getAccuracy``), and follows a first-order Gauss-Markov process in time.
    """
    first_s = path.times_s[0] + chance.uniform(0, source.every_s)
    times_s = np.arange(first_s, path.until_s, source.every_s)
    east_m, north_m = path.at(times_s)
    accuracy_m = chance.lognormal(
        math.log(source.accuracy_m) - SPREAD**2 / 2, SPREAD, len(times_s)
    ).round(1)
    error = _lasting(len(times_s), source.every_s, chance) * (accuracy_m / RADII_PER_SIGMA)
    return Seen(times_s, east_m + error[0], north_m + error[1], accuracy_m)


def exactly(path: Path, source: Source) -> Seen:
    """What a phone reports that is always right and says that it might be off by the mean."""
    times_s = np.arange(path.times_s[0], path.until_s, source.every_s)
    return Seen(times_s, *path.at(times_s), np.full(len(times_s), source.accuracy_m))


def _lasting(count: int, every_s: float, chance: np.random.Generator) -> Floats:
    """East and north, each of variance 1, with the correlation of ``ERROR_LASTS_S``."""
    kept = math.exp(-every_s / ERROR_LASTS_S)
    errors: Floats = chance.standard_normal((2, count))
    errors[:, 1:] *= math.sqrt(1 - kept**2)
    for number in range(1, count):
        errors[:, number] += kept * errors[:, number - 1]
    return errors

"""Where somebody truly was: a way of straight stretches at constant speed."""

import math
from dataclasses import dataclass, field

import numpy as np

from cli.simulation.plane import Shop
from shared.boundary import Floats

WALKING_MPS = 1.4
"""Source: R. C. Browning and others, J. Appl. Physiol. 100 (2006): preferred speed 1.4 m/s."""

_LOOK_EVERY_S = 1.0

Span = tuple[float, float]
"""From and until, in seconds since the beginning."""


@dataclass(frozen=True, slots=True)
class Path:
    """Corners of the way with the time at each; ascending, in seconds and metres."""

    times_s: Floats
    east_m: Floats
    north_m: Floats

    @property
    def until_s(self) -> float:
        return float(self.times_s[-1])

    def at(self, times_s: Floats) -> tuple[Floats, Floats]:
        """(east, north) in metres at each time."""
        return (
            np.interp(times_s, self.times_s, self.east_m),
            np.interp(times_s, self.times_s, self.north_m),
        )

    def stays(self, shop: Shop) -> list[Span]:
        """When it is truly inside a store, looked at every second."""
        times_s = np.arange(self.times_s[0], self.until_s + _LOOK_EVERY_S / 2, _LOOK_EVERY_S)
        inside = shop.ground.distance_m(*self.at(times_s)) <= 0
        turns = np.flatnonzero(np.diff(inside, prepend=False, append=False))
        return [
            (float(times_s[first]), float(times_s[after - 1]))
            for first, after in turns.reshape(-1, 2).tolist()
        ]


@dataclass(slots=True)
class PathMaker:
    """Makes a way step by step; where and when it stands now is its last corner."""

    _corners: list[tuple[float, float, float]] = field(default_factory=list)

    @classmethod
    def beginning(cls, east_m: float, north_m: float, at_s: float = 0.0) -> "PathMaker":
        return cls([(at_s, east_m, north_m)])

    @property
    def now_s(self) -> float:
        return self._corners[-1][0]

    def go(self, east_m: float, north_m: float, speed_mps: float = WALKING_MPS) -> "PathMaker":
        at_s, from_east, from_north = self._corners[-1]
        took_s = math.hypot(east_m - from_east, north_m - from_north) / speed_mps
        self._corners.append((at_s + took_s, east_m, north_m))
        return self

    def wait(self, seconds: float) -> "PathMaker":
        at_s, east_m, north_m = self._corners[-1]
        self._corners.append((at_s + seconds, east_m, north_m))
        return self

    def wait_until(self, at_s: float) -> "PathMaker":
        return self.wait(at_s - self.now_s)

    def path(self) -> Path:
        times_s, east_m, north_m = np.array(self._corners, dtype=np.float64).T
        return Path(times_s, east_m, north_m)

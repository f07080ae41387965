"""The stand-in's time: it can be set, and what ages can be made older."""

import time
from collections.abc import Callable


class Clock:
    """Two readings, both Unix seconds.

    ``stamp`` is what stands in pushes and their signatures, so it agrees with the clock of whoever
    receives them. ``now`` is what tokens, codes, windows and quotas age by; ``advance`` moves it
    ahead of ``stamp``, so that a token can expire while pushes are still timely.
    """

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._set_s = 0.0
        self._ahead_s = 0.0

    def stamp(self) -> float:
        return self._base() + self._set_s

    def now(self) -> float:
        return self.stamp() + self._ahead_s

    def set(self, at: float) -> None:
        """Both readings are ``at`` at this moment and run on from there."""
        self._set_s = at - self._base()
        self._ahead_s = 0.0

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass for all that ages. Raises ValueError for going back."""
        if seconds < 0:
            raise ValueError("time does not go back: set it instead")
        self._ahead_s += seconds

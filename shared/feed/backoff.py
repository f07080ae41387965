"""How long to wait after a failure, and when to leave the other service in peace."""

import random
from dataclasses import dataclass
from math import inf

EVENT_CAP_S = 600.0
"""An event that fails is tried again after 1 s, 2 s, 4 s ... and at most so long."""

PEER_CAP_S = 30.0
"""A service that is down is asked so often at least: it is one small request, and all wait for it."""

_LONGEST_EXPONENT = 20


def backoff_s(failures: int, cap_s: float = EVENT_CAP_S) -> float:
    """Seconds to wait after the ``failures``-th failure in a row (from 1).

    Doubles from 1 s to ``cap_s``; the upper half is random, so that what failed together does
    not come back together.
    """
    full_s = min(cap_s, 2.0 ** min(max(failures, 1) - 1, _LONGEST_EXPONENT))
    return full_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing


@dataclass(slots=True)
class Circuit:
    """Open while the peer is down: then one request per back-off goes out, not one per batch.

    Times are seconds of a monotonic clock. Whoever is admitted must call ``succeeded`` or
    ``failed``.
    """

    failures: int = 0
    _retry_at: float = -inf
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        return self.failures > 0

    def admits(self, now: float) -> bool:
        """Whether a request may be sent now; while open, the first to ask becomes the probe."""
        if not self.is_open:
            return True
        if self._probing or now < self._retry_at:
            return False
        self._probing = True
        return True

    def blocks(self, now: float) -> bool:
        """Whether asking is useless for the present."""
        return self.is_open and (self._probing or now < self._retry_at)

    def succeeded(self) -> bool:
        """The peer answered; True if that ends an outage."""
        ended = self.is_open
        self.failures, self._probing, self._retry_at = 0, False, -inf
        return ended

    def failed(self, now: float, retry_after_s: float = 0.0) -> bool:
        """The peer did not; True if that begins an outage.

        Requests that were under way when the circuit opened do not make it worse.
        """
        began = not self.is_open
        if began or self._probing:
            self.failures += 1
            wait_s = max(backoff_s(self.failures, PEER_CAP_S), min(retry_after_s, EVENT_CAP_S))
            self._retry_at, self._probing = now + wait_s, False
        return began

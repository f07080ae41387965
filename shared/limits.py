"""Rate limits: token buckets in the memory of each process.

Every worker keeps its own buckets and gets its share of the rate, so that an installation of
any number of workers allows about what is set; no request waits for a database.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.errors import TooManyRequests

MAX_BUCKETS = 100_000
"""Buckets kept per kind; the one unused for longest is forgotten first."""

_WHOSE = {"key": "this key", "subject": "this subject", "code_guess": "guessing codes"}


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_s`` requests a second in the long run, ``burst`` of them at once."""

    per_s: float
    burst: float

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError("a rate is above 0 and its burst is at least 1")

    def shared_by(self, workers: int) -> "Rate":
        """The share of one of ``workers`` processes; never less than one request at once."""
        return Rate(self.per_s / workers, max(1.0, self.burst / workers))


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(slots=True)
class Limiter:
    """Counts requests per kind and key; ``monotonic`` gives seconds and is set by tests."""

    rates: Mapping[str, Rate]
    monotonic: Callable[[], float] = time.monotonic
    max_buckets: int = MAX_BUCKETS
    _buckets: dict[str, OrderedDict[str, _Bucket]] = field(default_factory=dict)

    def take(self, kind: str, key: str) -> None:
        """Use up one request of ``key``.

        Raises TooManyRequests with the whole seconds after which there is room again, and
        KeyError for a kind that has no rate.
        """
        self._filled(kind, key).tokens -= 1

    def check(self, kind: str, key: str) -> None:
        """Raise as ``take`` would, and use nothing up."""
        self._filled(kind, key)

    def _filled(self, kind: str, key: str) -> _Bucket:
        """The bucket of ``key`` as of now, with at least one token. Raises TooManyRequests."""
        rate = self.rates[kind]
        now = self.monotonic()
        bucket = self._bucket(kind, key, rate, now)
        refilled = bucket.tokens + (now - bucket.filled_at) * rate.per_s
        bucket.tokens = min(rate.burst, refilled)
        bucket.filled_at = now
        if bucket.tokens < 1:
            wait_s = max(1, math.ceil((1 - bucket.tokens) / rate.per_s))
            raise TooManyRequests(
                f"The limit for {_WHOSE.get(kind, kind)} is used up; try again in {wait_s} s.",
                retry_after_s=wait_s,
            )
        return bucket

    def _bucket(self, kind: str, key: str, rate: Rate, now: float) -> _Bucket:
        buckets = self._buckets.get(kind)
        if buckets is None:
            buckets = self._buckets[kind] = OrderedDict()
        bucket = buckets.get(key)
        if bucket is not None:
            buckets.move_to_end(key)
            return bucket
        if len(buckets) >= self.max_buckets:
            buckets.popitem(last=False)
        bucket = buckets[key] = _Bucket(rate.burst, now)
        return bucket


def build_limiter(
    *, key_per_s: float, subject_per_s: float, code_guesses_per_min: float, workers: int = 1
) -> Limiter:
    """The limiter of one of ``workers`` processes.

    A key may use two seconds' worth at once, a subject ten, a guesser a minute's.
    """
    rates = {
        "key": Rate(key_per_s, max(1.0, 2 * key_per_s)),
        "subject": Rate(subject_per_s, max(1.0, 10 * subject_per_s)),
        "code_guess": Rate(code_guesses_per_min / 60, max(1.0, code_guesses_per_min)),
    }
    return Limiter({kind: rate.shared_by(workers) for kind, rate in rates.items()})

"""How often something may be asked: counted in fixed spans that begin with the Beijing clock."""

from collections.abc import Hashable

from wechat_sandbox.clock import Clock
from wechat_sandbox.refusals import Refused

MINUTE_S = 60
DAY_S = 86_400
_BEIJING_S = 8 * 3_600


class Quotas:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used: dict[Hashable, tuple[int, int]] = {}

    def take(self, key: Hashable, most: int, per_s: int, errcode: int = 45009) -> None:
        """Count one use of ``key``. Raises Refused with ``errcode`` past ``most`` in the span."""
        span = int(self._clock.now() + _BEIJING_S) // per_s
        known, used = self._used.get((key, per_s), (span, 0))
        used = used if known == span else 0
        if used >= most:
            raise Refused(errcode)
        self._used[key, per_s] = (span, used + 1)

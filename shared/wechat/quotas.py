"""What WeChat rations, counted before it is asked.

The numbers are WeChat's documented ones for an account, as of 2025. Each process counts by itself
and takes its share of them; the tokens, of which few are given, are counted in the database.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.errors import TooManyRequests
from shared.limits import Limiter, Rate
from shared.wechat.answers import WeChatRefused
from shared.wechat.errcodes import Trouble

_MINUTE_S, _DAY_S = 60, 86_400
REST_S = 300.0
"""How long an API is left alone after WeChat said that its quota of the day is used up."""
USED_UP = 45009


@dataclass(frozen=True, slots=True)
class Quota:
    """Calls a minute and a day of one account; None where none is documented."""

    per_minute: int | None = None
    per_day: int | None = None


QUOTAS: Mapping[str, Quota] = {
    "/cgi-bin/stable_token": Quota(per_minute=10_000, per_day=500_000),
    "/cgi-bin/token": Quota(per_day=2_000),
    "/cgi-bin/message/subscribe/send": Quota(per_day=10_000_000),
    "/cgi-bin/message/subscribe/bizsend": Quota(per_day=10_000_000),
    "/cgi-bin/message/custom/send": Quota(per_day=500_000),
    "/cgi-bin/user/info/batchget": Quota(per_day=5_000_000),
    "/wxa/getwxacodeunlimit": Quota(per_minute=5_000),
    "/cgi-bin/qrcode/create": Quota(per_day=100_000),
}
"""By path. Logins and phone numbers are rationed by person (100 a minute), whom only the answer names.

Sources: WeChat's pages of each interface, and "interface quotas" of official accounts.
"""


@dataclass(slots=True)
class Quotas:
    """The counts of one of ``workers`` processes."""

    workers: int = 1
    monotonic: Callable[[], float] = time.monotonic
    _limiter: Limiter = field(init=False)
    _resting: dict[tuple[str, str], float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rates = {
            f"{path} {span_s}": Rate(count / span_s, count).shared_by(self.workers)
            for path, quota in QUOTAS.items()
            for span_s, count in ((_MINUTE_S, quota.per_minute), (_DAY_S, quota.per_day))
            if count is not None
        }
        self._limiter = Limiter(rates, self.monotonic)

    def take(self, path: str, app_id: str) -> None:
        """Count one call. Raises WeChatRefused with trouble ``quota`` where there is no room."""
        rests_s = self._resting.get((path, app_id), 0.0) - self.monotonic()
        if rests_s > 0:
            raise _over(path, rests_s)
        kinds = [kind for kind in (f"{path} {_MINUTE_S}", f"{path} {_DAY_S}") if self._knows(kind)]
        try:
            for kind in kinds:
                self._limiter.check(kind, app_id)
            for kind in kinds:
                self._limiter.take(kind, app_id)
        except TooManyRequests as refusal:
            raise _over(path, refusal.retry_after_s) from None

    def rest(self, path: str, app_id: str) -> None:
        """WeChat says that nothing is left today: ask it again in a while only."""
        self._resting[path, app_id] = self.monotonic() + REST_S

    def _knows(self, kind: str) -> bool:
        return kind in self._limiter.rates


def _over(path: str, retry_after_s: float) -> WeChatRefused:
    said = f"the quota of {path} is used up; try again in {retry_after_s:.0f} s"
    return WeChatRefused(Trouble.QUOTA, None, said, retry_after_s=retry_after_s)

"""When an access token is good, and how often WeChat may be asked for another. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.wechat.answers import FetchedToken
from shared.wechat.tokens import RENEWED_BEFORE_S

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Ration:
    """So many times a minute and a day, and so far apart."""

    per_minute: int
    per_day: int
    apart: timedelta = timedelta(0)

    def allows(self, before: Iterable[datetime], now: datetime) -> bool:
        """Whether once more is allowed at ``now``, after the times ``before``."""
        of_day = of_the_last_day(before, now)
        of_minute = [at for at in of_day if at > now - _MINUTE]
        if len(of_day) >= self.per_day or len(of_minute) >= self.per_minute:
            return False
        return not of_day or now - max(of_day) >= self.apart


FORCED = Ration(per_minute=2, per_day=20, apart=timedelta(seconds=30))
"""Demands for a new token. Source: WeChat's page of stable_token (force_refresh)."""

AFTER_REFUSAL = Ration(per_minute=6, per_day=200)
"""Renewals because WeChat refused a token: else one that it goes on refusing would use up the
2,000 classic tokens of a day within minutes."""


def of_the_last_day(moments: Iterable[datetime], now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in moments if at > now - _DAY)


@dataclass(frozen=True, slots=True)
class Held:
    """What the database has of an account's token, and of when WeChat was asked for others."""

    token: str | None = field(default=None, repr=False)
    fetched_at: datetime | None = None
    expires_at: datetime | None = None
    refused_at: tuple[datetime, ...] = ()
    forced_at: tuple[datetime, ...] = ()

    def living(self, at: datetime) -> str | None:
        """The token, if it lives at ``at``."""
        return self.token if self.expires_at is not None and at < self.expires_at else None

    def fresh(self, now: datetime) -> str | None:
        """The token, unless it is to be renewed: in its last 5 minutes, or half if it is short."""
        if self.fetched_at is None or self.expires_at is None:
            return None
        half = (self.expires_at - self.fetched_at) / 2
        return self.living(now + min(timedelta(seconds=RENEWED_BEFORE_S), half))

    def with_token(self, fetched: FetchedToken, asked_at: datetime) -> "Held":
        expires_at = asked_at + timedelta(seconds=fetched.expires_in)
        return replace(self, token=fetched.access_token, fetched_at=asked_at, expires_at=expires_at)

    def refused(self, now: datetime) -> "Held":
        """Without its token, and with one renewal more that a refusal led to."""
        refused_at = (*of_the_last_day(self.refused_at, now), now)
        return replace(self, token=None, expires_at=None, refused_at=refused_at)

    def forced(self, now: datetime) -> "Held":
        """With one demand more for a new token."""
        return replace(self, forced_at=(*of_the_last_day(self.forced_at, now), now))

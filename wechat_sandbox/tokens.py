"""Access tokens: the stable kind, which repeats itself, and the plain kind, which replaces itself.

Source: WeChat's pages of getStableAccessToken and getAccessToken. The two kinds know nothing of
each other.
"""

import math
from dataclasses import dataclass, field

from wechat_sandbox.clock import Clock
from wechat_sandbox.making import Maker
from wechat_sandbox.quotas import DAY_S, MINUTE_S, Quotas
from wechat_sandbox.refusals import Refused

LIFETIME_S = 7_200
OVERLAP_S = 300
"""So early the stable kind is renewed, and so long a replaced token of the plain kind still works."""

_FORCED_APART_S = 30
_FORCED_A_DAY = 20
_LENGTH = 136
_KEPT_S = DAY_S


@dataclass(slots=True)
class _Issued:
    account_id: str
    expires_at: float
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller gets: a token and how many seconds it still lives."""

    access_token: str
    expires_in: int


@dataclass(slots=True)
class Tokens:
    clock: Clock
    maker: Maker
    quotas: Quotas
    _issued: dict[str, _Issued] = field(default_factory=dict)
    _stable: dict[str, str] = field(default_factory=dict)
    _plain: dict[str, str] = field(default_factory=dict)
    _forced_at: dict[str, float] = field(default_factory=dict)

    def stable(self, account_id: str, *, force: bool) -> Given:
        """The present token, or a new one when less than 5 minutes of it are left.

        Forcing kills the present one and gives another, 20 times a day; within 30 seconds of the
        last time it gives the same again.
        """
        self.quotas.take(("stable", account_id), 10_000, MINUTE_S)
        self.quotas.take(("stable", account_id), 500_000, DAY_S)
        present = self._stable.get(account_id)
        if force and self._may_force(account_id):
            self._kill(present)
            present = None
        if present is None or self._left_s(present) <= OVERLAP_S:
            present = self._stable[account_id] = self._issue(account_id)
        return Given(present, math.ceil(self._left_s(present)))

    def plain(self, account_id: str) -> Given:
        """A new token each time; the one before works for 5 more minutes."""
        self.quotas.take(("plain", account_id), 2_000, DAY_S)
        before = self._issued.get(self._plain.get(account_id, ""))
        if before is not None:
            before.expires_at = min(before.expires_at, self.clock.now() + OVERLAP_S)
        token = self._plain[account_id] = self._issue(account_id)
        return Given(token, LIFETIME_S)

    def account_of(self, access_token: str) -> str:
        """Whose token it is. Raises Refused for none, an unknown, a dead or an expired one."""
        if not access_token:
            raise Refused(41001)
        issued = self._issued.get(access_token)
        if issued is None or issued.revoked:
            raise Refused(40001)
        if issued.expires_at <= self.clock.now():
            raise Refused(42001)
        return issued.account_id

    def owner(self, access_token: str) -> str | None:
        """Whose token it is or was."""
        issued = self._issued.get(access_token)
        return None if issued is None else issued.account_id

    def revoke(self, account_id: str) -> int:
        """Kill every token of an account; gives back how many there were."""
        living = [t for t, one in self._issued.items() if one.account_id == account_id]
        killed = sum(self._kill(token) for token in living)
        self._stable.pop(account_id, None)
        self._plain.pop(account_id, None)
        return killed

    def _may_force(self, account_id: str) -> bool:
        now = self.clock.now()
        if now - self._forced_at.get(account_id, -_FORCED_APART_S) < _FORCED_APART_S:
            return False
        self.quotas.take(("force", account_id), _FORCED_A_DAY, DAY_S)
        self._forced_at[account_id] = now
        return True

    def _kill(self, token: str | None) -> bool:
        issued = self._issued.get(token or "")
        if issued is None or issued.revoked:
            return False
        issued.revoked = True
        return True

    def _left_s(self, token: str) -> float:
        issued = self._issued.get(token)
        return 0 if issued is None or issued.revoked else issued.expires_at - self.clock.now()

    def _issue(self, account_id: str) -> str:
        now = self.clock.now()
        for old in [t for t, one in self._issued.items() if one.expires_at < now - _KEPT_S]:
            del self._issued[old]
        token = f"{self.maker.next_number() % 100}_{self.maker.next_text('access', _LENGTH)}"
        self._issued[token] = _Issued(account_id, now + LIFETIME_S)
        return token

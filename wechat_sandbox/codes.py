"""Codes that the phone gets and the server spends: once, within 5 minutes."""

from dataclasses import dataclass, field
from enum import Enum

from wechat_sandbox.clock import Clock
from wechat_sandbox.making import Maker
from wechat_sandbox.refusals import Refused

LIFETIME_S = 300


class Purpose(Enum):
    """The two kinds are not exchangeable. ``used`` is what a second use is answered with."""

    LOGIN = ("login", 32, 40163)
    PHONE = ("phone", 64, 40029)

    def __init__(self, label: str, length: int, used: int) -> None:
        self.label = label
        self.length = length
        self.used = used


@dataclass(slots=True)
class _Code:
    purpose: Purpose
    account_id: str
    person: str
    expires_at: float
    used: bool = False


@dataclass(slots=True)
class Codes:
    clock: Clock
    maker: Maker
    _codes: dict[str, _Code] = field(default_factory=dict)

    def give(self, purpose: Purpose, account_id: str, person: str) -> str:
        code = self.maker.next_text(purpose.label, purpose.length)
        expires_at = self.clock.now() + LIFETIME_S
        self._codes[code] = _Code(purpose, account_id, person, expires_at)
        return code

    def person_of(self, purpose: Purpose, account_id: str, code: str) -> str:
        """Whose code it is, without spending it. Raises Refused where it does not hold."""
        known = self._codes.get(code)
        if known is None or (known.purpose, known.account_id) != (purpose, account_id):
            raise Refused(40029)
        if known.used:
            raise Refused(purpose.used)
        if known.expires_at <= self.clock.now():
            raise Refused(40029)
        return known.person

    def spend(self, code: str) -> None:
        self._codes[code].used = True

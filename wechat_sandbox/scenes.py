"""Codes with a scene: the official account's QR codes behind their tickets."""

from dataclasses import dataclass, field

from wechat_sandbox.clock import Clock
from wechat_sandbox.making import Maker
from wechat_sandbox.refusals import NotPossible, Refused

_PERMANENT_AT_MOST = 100_000


@dataclass(frozen=True, slots=True)
class QrCode:
    """``scene`` as pushes name it, without ``qrscene_``; ``expires_at`` None is for ever."""

    account_id: str
    scene: str
    ticket: str
    url: str
    expires_at: float | None


@dataclass(slots=True)
class Scenes:
    clock: Clock
    maker: Maker
    _by_ticket: dict[str, QrCode] = field(default_factory=dict)
    _permanent: dict[tuple[str, str], QrCode] = field(default_factory=dict)

    def create(self, account_id: str, scene: str, lifetime_s: int | None) -> QrCode:
        """A code; a permanent one for the same scene is the same code again.

        Raises Refused past 100,000 permanent ones.
        """
        if lifetime_s is None and (account_id, scene) in self._permanent:
            return self._permanent[account_id, scene]
        expires_at = None if lifetime_s is None else self.clock.now() + lifetime_s
        ticket = "gQ" + self.maker.next_text("ticket", 92) + "=="
        url = f"http://weixin.qq.com/q/{self.maker.next_text('url', 22)}"
        code = QrCode(account_id, scene, ticket, url, expires_at)
        if lifetime_s is None:
            owned = sum(owner == account_id for owner, _ in self._permanent)
            if owned >= _PERMANENT_AT_MOST:
                raise Refused(45009)
            self._permanent[account_id, scene] = code
        self._by_ticket[ticket] = code
        return code

    def by_ticket(self, ticket: str) -> QrCode:
        """Raises NotPossible for a ticket that is unknown or whose code has expired."""
        code = self._by_ticket.get(ticket)
        if code is None:
            raise NotPossible("There is no code with this ticket.")
        if code.expires_at is not None and code.expires_at <= self.clock.now():
            raise NotPossible("This code has expired.")
        return code

    def by_scene(self, account_id: str, scene: str) -> QrCode:
        """The newest code of a scene. Raises NotPossible where there is none, or it has expired."""
        mine = [
            c for c in self._by_ticket.values() if (c.account_id, c.scene) == (account_id, scene)
        ]
        if not mine:
            raise NotPossible(f"{account_id} has no code for the scene {scene!r}.")
        return self.by_ticket(mine[-1].ticket)

"""People, and each as an account knows them: openid, following, grants, windows, inbox."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from wechat_sandbox.refusals import Refused

_MINUTE_S = 60
_TWO_DAYS_S = 48 * 3_600


@dataclass(slots=True)
class Window:
    """Until when, and how many more times, customer-service messages may be sent."""

    why: str
    closes_at: float
    left: int


@dataclass(slots=True)
class Fan:
    """One person as one account knows them."""

    openid: str
    follows: bool = False
    blocked: bool = False
    cancelled: bool = False
    session_key: str | None = None
    grants: Counter[str] = field(default_factory=Counter)
    windows: dict[str, Window] = field(default_factory=dict)
    inbox: list[dict[str, Any]] = field(default_factory=list)
    sending: bool = False

    def open_window(self, why: str, now: float, *, official: bool) -> None:
        """What ``why`` (message, touch, enter) permits from ``now`` on; the same again renews it.

        Official accounts: after a message 20 in 48 h; after a menu click, a follow or a scan 3 in
        a minute (the rules of June 2021, as users report them). Mini-programs: after a message 5
        in 48 h; on entering the chat 2 in a minute (documented).
        """
        rules = {"message": (_TWO_DAYS_S, 20 if official else 5), "touch": (_MINUTE_S, 3),
                 "enter": (_MINUTE_S, 2)}  # fmt: skip
        seconds, left = rules[why]
        self.windows[why] = Window(why, now + seconds, left)

    def take_from_window(self, now: float) -> None:
        """Use up one message of the window that closes first. Raises Refused 45015 or 45047."""
        open_ones = [w for w in self.windows.values() if w.closes_at > now]
        if not open_ones:
            raise Refused(45015)
        usable = [window for window in open_ones if window.left]
        if not usable:
            raise Refused(45047)
        min(usable, key=lambda window: window.closes_at).left -= 1

    def take_grant(self, template_id: str) -> None:
        """Spend one acceptance of the template. Raises Refused 43101."""
        if not self.grants[template_id]:
            raise Refused(43101)
        self.grants[template_id] -= 1


@dataclass(slots=True)
class Person:
    """``phone`` is in E.164. ``fans`` are by account id."""

    name: str
    phone: str | None = None
    fans: dict[str, Fan] = field(default_factory=dict)

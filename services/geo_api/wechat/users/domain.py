"""People at a WeChat account: what opens a window to write to them, and what a refusal closes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Trigger(StrEnum):
    """What a person did that lets an account send custom messages for a while."""

    MESSAGE = "message"
    CHAT_ENTERED = "chat_entered"
    FOLLOW = "follow"
    SCAN = "scan"
    MENU = "menu"


class WindowRule(NamedTuple):
    """How many messages, and for how long after the trigger."""

    allowed: int
    lasts: timedelta


_TWO_DAYS, _MINUTE = timedelta(hours=48), timedelta(minutes=1)

OFFICIAL_WINDOWS: Mapping[Trigger, WindowRule] = {
    Trigger.MESSAGE: WindowRule(20, _TWO_DAYS),
    Trigger.FOLLOW: WindowRule(3, _MINUTE),
    Trigger.SCAN: WindowRule(3, _MINUTE),
    Trigger.MENU: WindowRule(3, _MINUTE),
}
"""Of official accounts, since June 2021. A reported location opens none."""

MINI_PROGRAM_WINDOWS: Mapping[Trigger, WindowRule] = {
    Trigger.MESSAGE: WindowRule(5, _TWO_DAYS),
    Trigger.CHAT_ENTERED: WindowRule(2, _MINUTE),
}
"""Of mini-programs: WeChat's documentation of ``customerServiceMessage.send``."""


class GrantState(StrEnum):
    OPEN = "open"
    SPENT = "spent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SeenUser:
    """A person that an account told of. ``openid`` in clear, on its way to be sealed."""

    subject_id: UUID
    account_id: str
    openid: str
    seen_at: datetime


class Following(NamedTuple):
    """Somebody follows an account from ``at`` on, or does so no more."""

    subject_id: UUID
    account_id: str
    follows: bool
    at: datetime


class Window(NamedTuple):
    """Opened by ``trigger``; ``closes_at`` and ``allowed`` come from its rule."""

    subject_id: UUID
    account_id: str
    trigger: Trigger
    opened_at: datetime
    closes_at: datetime
    allowed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said to being sent one message of ``template_id``; ``granted`` or refused.

    ``grant_id`` is derived from the push that told of it.
    """

    subject_id: UUID
    account_id: str
    template_id: str
    grant_id: UUID
    granted: bool
    at: datetime
    closed_at: datetime | None = None

    @property
    def state(self) -> GrantState:
        """A refusal is kept, too: it closes grants from before it that come later."""
        is_open = self.granted and self.closed_at is None
        return GrantState.OPEN if is_open else GrantState.REFUSED

    @property
    def about(self) -> tuple[UUID, str, str]:
        return self.subject_id, self.account_id, self.template_id


def settled(answers: Iterable[Answer]) -> list[Answer]:
    """Answers that came together, each once: a refusal closes the grants up to its time."""
    each = {answer.grant_id: answer for answer in answers}
    refused: dict[tuple[UUID, str, str], datetime] = {}
    for answer in each.values():
        if not answer.granted:
            before = refused.get(answer.about)
            refused[answer.about] = answer.at if before is None else max(before, answer.at)
    return [_closed(answer, refused.get(answer.about)) for answer in each.values()]


def _closed(answer: Answer, refused_at: datetime | None) -> Answer:
    if not answer.granted:
        return replace(answer, closed_at=answer.at)
    if refused_at is None or answer.at > refused_at:
        return answer
    return replace(answer, closed_at=refused_at)


def latest_windows(windows: Iterable[Window]) -> list[Window]:
    """The last one of each trigger of a person at an account."""
    last: dict[tuple[UUID, str, Trigger], Window] = {}
    for window in sorted(windows, key=lambda window: window.opened_at):
        last[window.subject_id, window.account_id, window.trigger] = window
    return [*last.values()]


def latest_followings(followings: Sequence[Following]) -> list[Following]:
    """The last word of each person at an account; of two at one moment, that it ended."""
    last: dict[tuple[UUID, str], Following] = {}
    for following in sorted(followings, key=lambda f: (f.at, not f.follows)):
        last[following.subject_id, following.account_id] = following
    return [*last.values()]


@dataclass(frozen=True, slots=True)
class KnownUser:
    """Somebody at an account whom it can write to; ``openid`` in clear, never to be logged."""

    subject_id: UUID
    account_id: str
    openid: str
    follows: bool | None

    def __repr__(self) -> str:
        return f"KnownUser({self.subject_id}, {self.account_id!r})"

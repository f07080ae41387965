"""What one push brings about, told as data before anything is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.geo_api.feeding import tell
from services.geo_api.wechat.accounts.domain import KnownAccount
from services.geo_api.wechat.accounts.notices import NoticeKind
from services.geo_api.wechat.pushes.domain import PushState
from services.geo_api.wechat.pushes.repository import Claimed
from services.geo_api.wechat.scenes.repository import Origin
from services.geo_api.wechat.users.domain import (
    MINI_PROGRAM_WINDOWS,
    OFFICIAL_WINDOWS,
    Answer,
    Following,
    Trigger,
    Window,
)
from shared.contracts.events import EventType
from shared.feed.outbox import PreparedEvent
from shared.identity import Identity
from shared.wechat.pushes import Push

NOWHERE = Origin(None, None, None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A claimed push, read again. ``identity`` is whom it is from, None where nobody is named."""

    row: Claimed
    push: Push
    account: KnownAccount
    identity: Identity | None

    @property
    def subject_id(self) -> UUID:
        """Raises ValueError where the push names nobody."""
        if self.row.subject_id is None:
            raise ValueError("the push names nobody")
        return self.row.subject_id


class Noticed(NamedTuple):
    kind: NoticeKind
    detail: str


class Revocation(NamedTuple):
    """The whereabouts of a subject's person are to be forgotten up to ``at``, that included."""

    subject_id: UUID
    at: datetime


class Sent(NamedTuple):
    """WeChat's last word on a subscribe message."""

    account_id: str
    message_id: str
    ok: bool
    reason: str
    at: datetime


@dataclass(slots=True)
class Effects:
    """Of one push. ``sees``: whether the person counts as one that the account knows.

    ``urgent`` facts go before all others.
    """

    state: PushState = PushState.HANDLED
    reason: str | None = None
    sees: bool = True
    facts: list[PreparedEvent] = field(default_factory=list)
    urgent: list[PreparedEvent] = field(default_factory=list)
    followings: list[Following] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    revocations: list[Revocation] = field(default_factory=list)
    notices: list[Noticed] = field(default_factory=list)


def unheard(reason: str | None = None) -> Effects:
    """Nothing is done with it but keeping it."""
    return Effects(state=PushState.UNKNOWN, reason=reason, sees=False)


def fact(
    opened: Opened,
    kind: EventType,
    data: Mapping[str, Any],
    *,
    scene: str | None = None,
    origin: Origin = NOWHERE,
    key: str | None = None,
) -> PreparedEvent:
    """A fact of the timeline with its ``Touch``; ``key`` is its natural key, else the push's id."""
    touch = {
        "channel": "wechat",
        "account_id": opened.account.account_id,
        "scene": scene,
        "campaign": origin.campaign,
        "kol": origin.kol,
    }
    return tell(
        kind,
        opened.subject_id,
        key or str(opened.row.push_id),
        time=opened.row.occurred_at,
        received_at=opened.row.received_at,
        store_id=origin.store_id,
        data={**touch, **data},
    )


def windows(opened: Opened, trigger: Trigger) -> list[Window]:
    """The window that ``trigger`` opens at accounts of this kind, if it opens one."""
    official = opened.account.kind.is_official
    rule = (OFFICIAL_WINDOWS if official else MINI_PROGRAM_WINDOWS).get(trigger)
    if rule is None:
        return []
    at = opened.row.occurred_at
    account_id = opened.account.account_id
    return [Window(opened.subject_id, account_id, trigger, at, at + rule.lasts, rule.allowed)]

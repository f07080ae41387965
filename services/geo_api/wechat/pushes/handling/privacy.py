"""Permissions taken back, profiles cleaned, accounts closed: what has to be obeyed."""

from datetime import timedelta

from services.geo_api.feeding import tell
from services.geo_api.wechat.accounts.notices import NoticeKind
from services.geo_api.wechat.pushes.handling.effects import (
    Effects,
    Noticed,
    Opened,
    Revocation,
    fact,
)
from shared.contracts.events import EventType
from shared.wechat.push_types import WHEREABOUTS
from shared.wechat.pushes import AccountCancelled, PermissionRevoked, UserInfoModified

PRIVACY = (PermissionRevoked, UserInfoModified, AccountCancelled)

WITHIN_THE_SECOND = timedelta(milliseconds=999)
"""WeChat tells whole seconds: what was reported within that second was before it, in doubt."""


def obey(opened: Opened, push: PermissionRevoked | UserInfoModified | AccountCancelled) -> Effects:
    """What a privacy event demands of us, and what only an operator can do."""
    if isinstance(push, PermissionRevoked):
        return _revoked(opened, push)
    if isinstance(push, AccountCancelled):
        return _cancelled(opened)
    detail = (
        "WeChat cleaned a person's profile: wherever you show names and pictures that WeChat "
        "gave you, blank them or ask for them anew. SOLOMO keeps none."
    )
    return Effects(notices=[Noticed(NoticeKind.PROFILE_CLEANED, detail)])


def _revoked(opened: Opened, push: PermissionRevoked) -> Effects:
    data = {"event": opened.push.envelope.kind.removeprefix("event:")}
    effects = Effects(facts=[fact(opened, EventType.SOCIAL_EVENT, data)])
    if push.ends_whereabouts:
        at = opened.row.occurred_at + WITHIN_THE_SECOND
        effects.revocations = [Revocation(opened.subject_id, at)]
        effects.urgent = [
            tell(
                EventType.WHEREABOUTS_REVOKED,
                opened.subject_id,
                str(opened.row.push_id),
                time=opened.row.occurred_at,
                received_at=opened.row.received_at,
                data={"revoked_at": at},
            )
        ]
    others = push.permissions - WHEREABOUTS
    if others or not push.ends_whereabouts:
        numbers = ", ".join(sorted(others)) or "by no number"
        detail = f"A person took permissions back that WeChat calls {numbers}: stop using them."
        effects.notices = [Noticed(NoticeKind.PERMISSION_REVOKED, detail)]
    return effects


def _cancelled(opened: Opened) -> Effects:
    """member_api knows all that is the person, and has it erased everywhere."""
    requested = tell(
        EventType.ERASURE_REQUESTED,
        opened.subject_id,
        str(opened.row.push_id),
        time=opened.row.occurred_at,
        received_at=opened.row.received_at,
        data={"requested_at": opened.row.occurred_at},
    )
    return Effects(sees=False, urgent=[requested])

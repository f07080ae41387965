"""From a request at the callback to what goes into the inbox."""

from datetime import datetime
from uuid import UUID

from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.pushes.domain import (
    Arrived,
    Incoming,
    digest_of,
    push_id_of,
    time_of,
)
from shared.errors import Malformed
from shared.identity import Identity, Namespace, normalise, subject_id
from shared.wechat.callback import CallbackQuery, UnreadablePush, open_push
from shared.wechat.pushes import (
    AccountCancelled,
    PermissionRevoked,
    Push,
    UserInfoModified,
    read_push,
)


def read_request(
    key: bytes, account: LiveAccount, query: CallbackQuery, body: bytes, received_at: datetime
) -> Incoming:
    """``key`` is the identity key. Raises NotAuthentic."""
    digest = digest_of(key, account.account_id, account.callback.mode, query)
    try:
        document = open_push(account.callback, query, body, received_at)
    except UnreadablePush as unreadable:
        return Incoming(account.account_id, digest, received_at, None, unreadable.reason)
    push = read_push(document)
    identity = identity_of(push, account.app_id)
    arrived = Arrived(
        push_id=push_id_of(key, account.account_id, push.envelope.message_id, document),
        subject_id=_subject(key, identity),
        kind=push.envelope.kind,
        occurred_at=time_of(push.envelope.occurred_at, received_at),
        consent_version=account.consent_version,
        document=document,
    )
    return Incoming(account.account_id, digest, received_at, arrived)


def identity_of(push: Push, app_id: str) -> Identity | None:
    """Who a push is from; None where it does not say, or names nobody.

    An openid is one of the app's; a privacy event that speaks of another app names a stranger.
    """
    private = PermissionRevoked | UserInfoModified | AccountCancelled
    if isinstance(push, private) and push.app_id not in {"", app_id}:
        return None
    if push.envelope.openid is None:
        return None
    try:
        return normalise(Namespace.WECHAT_OPENID, app_id, push.envelope.openid)
    except Malformed:
        return None


def _subject(key: bytes, identity: Identity | None) -> UUID | None:
    return None if identity is None else subject_id(key, identity)

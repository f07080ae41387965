"""What an operator should look at: noted where it happens, listed, settled by a person.

The same kind again is counted in the open notice of its account, not written anew.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import NotFound
from shared.ids import uuid7

MAX_DETAIL = 500


class NoticeKind(StrEnum):
    """``docs/wechat.md`` says of each what to do."""

    CREDENTIALS_REFUSED = "credentials_refused"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    QUOTA_USED_UP = "quota_used_up"
    TOKEN_CONTESTED = "token_contested"  # noqa: S105 - the name of a kind
    NOT_PERMITTED = "not_permitted"
    TEMPLATE_REFUSED = "template_refused"
    MESSAGE_REFUSED = "message_refused"
    PUSHES_PARKED = "pushes_parked"
    PUSH_INCOMPLETE = "push_incomplete"
    PUSH_UNREADABLE = "push_unreadable"
    PERMISSION_REVOKED = "permission_revoked"
    PROFILE_CLEANED = "profile_cleaned"
    STORE_REFUSED = "store_refused"


class NoticeUnknown(NotFound):
    slug = "wechat-notice-unknown"
    title = "There is no such notice"


@dataclass(frozen=True, slots=True)
class Notice:
    notice_id: UUID
    account_id: str
    kind: str
    detail: str
    count: int
    first_at: datetime
    last_at: datetime
    settled_at: datetime | None


_NOTE = text("""
    INSERT INTO geo.wechat_notices AS n
        (notice_id, account_id, kind, detail, count, first_at, last_at, settled_at)
    SELECT :notice_id, account_id, :kind, :detail, 1, :now, :now, NULL
    FROM geo.wechat_accounts WHERE account_id = :account_id
    ON CONFLICT (account_id, kind) WHERE settled_at IS NULL
    DO UPDATE SET count = n.count + 1, detail = EXCLUDED.detail,
        last_at = greatest(n.last_at, EXCLUDED.last_at)
""")

_LIST = text("""
    SELECT notice_id, account_id, kind, detail, count, first_at, last_at, settled_at
    FROM geo.wechat_notices
    WHERE (CAST(:account_id AS text) IS NULL OR account_id = :account_id)
        AND (settled_at IS NULL OR :with_settled)
        AND (CAST(:after_at AS timestamptz) IS NULL
            OR (first_at, notice_id) < (:after_at, CAST(:after_id AS uuid)))
    ORDER BY first_at DESC, notice_id DESC LIMIT :most
""")

_SETTLE = text("""
    UPDATE geo.wechat_notices SET settled_at = COALESCE(settled_at, :now)
    WHERE notice_id = :notice_id
    RETURNING notice_id, account_id, kind, detail, count, first_at, last_at, settled_at
""")


async def note(
    connection: AsyncConnection, account_id: str, kind: NoticeKind, detail: str, now: datetime
) -> None:
    """Tell operators of it, in the transaction of ``connection``.

    ``detail`` is a sentence without secrets, openids or places. Of an account that is not there
    nothing is noted.
    """
    values = {"account_id": account_id, "kind": kind.value, "detail": detail[:MAX_DETAIL]}
    await connection.execute(_NOTE, values | {"notice_id": uuid7(), "now": now})


async def list_notices(
    connection: AsyncConnection,
    account_id: str | None,
    after: tuple[datetime, UUID] | None,
    most: int,
    *,
    with_settled: bool,
) -> list[Notice]:
    """The newest first; ``after`` is (first_at, id) of the last one that was seen."""
    after_at, after_id = after or (None, None)
    values = {"account_id": account_id, "with_settled": with_settled, "most": most}
    rows = await connection.execute(_LIST, values | {"after_at": after_at, "after_id": after_id})
    return [_read(row) for row in rows.mappings()]


async def settle(connection: AsyncConnection, notice_id: UUID, now: datetime) -> Notice:
    """Take a notice as done; again changes nothing. Raises NoticeUnknown."""
    rows = await connection.execute(_SETTLE, {"notice_id": notice_id, "now": now})
    row = rows.mappings().first()
    if row is None:
        raise NoticeUnknown(f"There is no notice {notice_id}.")
    return _read(row)


def _read(row: RowMapping) -> Notice:
    return Notice(**row)

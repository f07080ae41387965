"""Queries of people at accounts, and of the permissions to write to them.

What pushes tell is written under the lock of its subjects; what is taken to send a message needs
none, for each permission is one row that one sender changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.users.domain import (
    Answer,
    Following,
    KnownUser,
    SeenUser,
    Window,
    latest_followings,
    latest_windows,
    settled,
)
from shared.direct import Statement
from shared.sealing import StorageKey

_SEE = text("""
    INSERT INTO geo.wechat_users (subject_id, account_id, openid, created_at)
    SELECT subject_id, account_id, openid, seen_at
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:accounts AS text[]),
        CAST(:openids AS bytea[]), CAST(:times AS timestamptz[]))
        AS seen (subject_id, account_id, openid, seen_at)
    ORDER BY subject_id, account_id
    ON CONFLICT (subject_id, account_id) DO NOTHING
""")

# Of two words at one moment the unfollow stands, in whatever order they come. Who follows anew may
# have a unionid by now.
_FOLLOW = text("""
    UPDATE geo.wechat_users AS u SET follows = said.follows, follows_since = said.at,
        union_known_at = CASE WHEN NOT said.follows THEN u.union_known_at END
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:accounts AS text[]),
        CAST(:follows AS boolean[]), CAST(:times AS timestamptz[]))
        AS said (subject_id, account_id, follows, at)
    WHERE u.subject_id = said.subject_id AND u.account_id = said.account_id
        AND (u.follows_since IS NULL OR u.follows_since < said.at
            OR (u.follows_since = said.at AND u.follows))
""")

# A grant from before a refusal that is known already is born closed.
_ANSWER = text("""
    INSERT INTO geo.wechat_grants AS g (subject_id, grant_id, account_id, template_id, state,
        granted_at, closed_at)
    SELECT said.subject_id, said.grant_id, said.account_id, said.template_id,
        CASE WHEN refused.at IS NULL THEN said.state ELSE 'refused' END,
        said.at, COALESCE(said.closed_at, refused.at)
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:grants AS uuid[]), CAST(:accounts AS text[]),
        CAST(:templates AS text[]), CAST(:states AS text[]), CAST(:times AS timestamptz[]),
        CAST(:closed AS timestamptz[]))
        AS said (subject_id, grant_id, account_id, template_id, state, at, closed_at)
    CROSS JOIN LATERAL (
        SELECT max(closed_at) AS at FROM geo.wechat_grants AS before
        WHERE before.subject_id = said.subject_id AND before.account_id = said.account_id
            AND before.template_id = said.template_id AND before.state = 'refused'
            AND before.closed_at >= said.at
    ) AS refused
    ON CONFLICT (subject_id, grant_id) DO NOTHING
""")

_REFUSE = text("""
    UPDATE geo.wechat_grants AS g SET state = 'refused', closed_at = said.at
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:accounts AS text[]),
        CAST(:templates AS text[]), CAST(:times AS timestamptz[]))
        AS said (subject_id, account_id, template_id, at)
    WHERE g.subject_id = said.subject_id AND g.account_id = said.account_id
        AND g.template_id = said.template_id AND g.state = 'open' AND g.granted_at <= said.at
""")

_REFUSED_AT_SENDING = text("""
    UPDATE geo.wechat_grants SET state = 'refused', closed_at = :now
    WHERE subject_id = :subject AND account_id = :account AND template_id = :template
        AND granted_at <= :now AND (state = 'open' OR grant_id = :grant)
""")

_OPEN = text("""
    INSERT INTO geo.wechat_windows AS w
        (subject_id, account_id, trigger, opened_at, closes_at, allowed, used)
    SELECT subject_id, account_id, trigger, opened_at, closes_at, allowed, 0
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:accounts AS text[]), CAST(:triggers AS text[]),
        CAST(:opened AS timestamptz[]), CAST(:closes AS timestamptz[]),
        CAST(:allowed AS smallint[]))
        AS told (subject_id, account_id, trigger, opened_at, closes_at, allowed)
    ORDER BY subject_id, account_id, trigger
    ON CONFLICT (subject_id, account_id, trigger) DO UPDATE SET
        opened_at = EXCLUDED.opened_at, closes_at = EXCLUDED.closes_at,
        allowed = EXCLUDED.allowed, used = 0
    WHERE w.opened_at < EXCLUDED.opened_at
""")

# The condition is looked at again once the row is locked: a grant is taken by one only.
_TAKE_GRANT = text("""
    UPDATE geo.wechat_grants AS g SET state = 'spent', closed_at = :now
    WHERE g.state = 'open' AND (g.subject_id, g.grant_id) = (
        SELECT subject_id, grant_id FROM geo.wechat_grants
        WHERE subject_id = :subject AND account_id = :account AND template_id = :template
            AND state = 'open'
        ORDER BY granted_at, grant_id LIMIT 1)
    RETURNING grant_id
""")

_TAKE_PLACE = text("""
    UPDATE geo.wechat_windows AS w SET used = used + 1
    WHERE w.closes_at > :now AND w.used < w.allowed AND (w.subject_id, w.account_id, w.trigger) = (
        SELECT subject_id, account_id, trigger FROM geo.wechat_windows
        WHERE subject_id = :subject AND account_id = :account
            AND closes_at > :now AND used < allowed
        ORDER BY closes_at, trigger LIMIT 1)
    RETURNING trigger
""")

_GIVE_GRANT_BACK = text("""
    UPDATE geo.wechat_grants SET state = 'open', closed_at = NULL
    WHERE subject_id = :subject AND grant_id = :grant AND state = 'spent'
""")

_GIVE_PLACE_BACK = text("""
    UPDATE geo.wechat_windows SET used = used - 1
    WHERE subject_id = :subject AND account_id = :account AND trigger = :trigger AND used > 0
""")

_CLOSE_WINDOWS = text("""
    UPDATE geo.wechat_windows SET used = allowed
    WHERE subject_id = :subject AND account_id = :account AND opened_at <= :now
""")

_KNOWN = text("""
    SELECT subject_id, account_id, openid, follows FROM geo.wechat_users
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
    ORDER BY subject_id, account_id
""")


def openid_context(subject_id: UUID) -> bytes:
    """Binds a sealed openid to its subject."""
    return b"wechat openid" + subject_id.bytes


@dataclass(frozen=True, slots=True)
class UserRows:
    """Reads and writes people; ``storage`` seals their openids."""

    storage: StorageKey

    def seeing(self, users: Iterable[SeenUser]) -> list[Statement]:
        """Note people, each once."""
        each = {(user.subject_id, user.account_id): user for user in users}
        if not each:
            return []
        sealed = [
            self.storage.encrypt(user.openid.encode(), openid_context(user.subject_id))
            for user in each.values()
        ]
        values = {
            "subjects": [subject for subject, _ in each],
            "accounts": [account for _, account in each],
            "openids": sealed,
            "times": [user.seen_at for user in each.values()],
        }
        return [Statement(_SEE, values)]

    async def known(self, connection: AsyncConnection, subjects: Sequence[UUID]) -> list[KnownUser]:
        """Those of ``subjects`` that some account knows, with their openids in clear."""
        rows = await connection.execute(_KNOWN, {"subjects": subjects})
        return [
            KnownUser(
                row.subject_id,
                row.account_id,
                self.storage.decrypt(row.openid, openid_context(row.subject_id)).decode(),
                row.follows,
            )
            for row in rows
        ]


def following(said: Sequence[Following]) -> list[Statement]:
    """Note who follows, whatever the order in which it is told; the people were noted before."""
    latest = latest_followings(said)
    if not latest:
        return []
    subjects, accounts, follows, times = map(list, zip(*latest, strict=True))
    values = {"subjects": subjects, "accounts": accounts, "follows": follows, "times": times}
    return [Statement(_FOLLOW, values)]


def answering(answers: Iterable[Answer]) -> list[Statement]:
    """Enter grants and refusals in the ledger, each once, whatever the order.

    The two statements may be run together: they never touch the same row.
    """
    each = settled(answers)
    if not each:
        return []
    entered = {
        "subjects": [answer.subject_id for answer in each],
        "grants": [answer.grant_id for answer in each],
        "accounts": [answer.account_id for answer in each],
        "templates": [answer.template_id for answer in each],
        "states": [answer.state.value for answer in each],
        "times": [answer.at for answer in each],
        "closed": [answer.closed_at for answer in each],
    }
    refusals = [answer for answer in each if not answer.granted]
    statements = [Statement(_ANSWER, entered)]
    if refusals:
        values = {
            "subjects": [answer.subject_id for answer in refusals],
            "accounts": [answer.account_id for answer in refusals],
            "templates": [answer.template_id for answer in refusals],
            "times": [answer.at for answer in refusals],
        }
        statements.append(Statement(_REFUSE, values))
    return statements


def opening(windows: Iterable[Window]) -> list[Statement]:
    """Open windows; one that was opened later stays as it is."""
    latest = latest_windows(windows)
    if not latest:
        return []
    values = {
        "subjects": [window.subject_id for window in latest],
        "accounts": [window.account_id for window in latest],
        "triggers": [window.trigger.value for window in latest],
        "opened": [window.opened_at for window in latest],
        "closes": [window.closes_at for window in latest],
        "allowed": [window.allowed for window in latest],
    }
    return [Statement(_OPEN, values)]


async def take_grant(
    connection: AsyncConnection, user: KnownUser, template_id: str, now: datetime
) -> UUID | None:
    """Spend the oldest open grant of a template; its id, or None where there is none."""
    values = {
        "subject": user.subject_id,
        "account": user.account_id,
        "template": template_id,
        "now": now,
    }
    taken: UUID | None = await connection.scalar(_TAKE_GRANT, values)
    return taken


async def give_grant_back(connection: AsyncConnection, subject_id: UUID, grant_id: UUID) -> None:
    """For a message that WeChat surely has not taken."""
    await connection.execute(_GIVE_GRANT_BACK, {"subject": subject_id, "grant": grant_id})


async def take_place(connection: AsyncConnection, user: KnownUser, now: datetime) -> str | None:
    """Use a place in the window that closes first; its trigger, or None where none is open."""
    values = {"subject": user.subject_id, "account": user.account_id, "now": now}
    taken: str | None = await connection.scalar(_TAKE_PLACE, values)
    return taken


async def give_place_back(connection: AsyncConnection, user: KnownUser, trigger: str) -> None:
    """For a message that WeChat surely has not taken."""
    values = {"subject": user.subject_id, "account": user.account_id, "trigger": trigger}
    await connection.execute(_GIVE_PLACE_BACK, values)


async def close_windows(connection: AsyncConnection, user: KnownUser, now: datetime) -> None:
    """WeChat says that there is no window (45015) or nothing left in it (45047)."""
    values = {"subject": user.subject_id, "account": user.account_id, "now": now}
    await connection.execute(_CLOSE_WINDOWS, values)


async def refuse(
    connection: AsyncConnection, user: KnownUser, template_id: str, taken: UUID, now: datetime
) -> None:
    """WeChat refused the grant that was ``taken`` (43101): none of the template's is left."""
    values = {
        "subject": user.subject_id,
        "account": user.account_id,
        "template": template_id,
        "grant": taken,
        "now": now,
    }
    await connection.execute(_REFUSED_AT_SENDING, values)

"""Taking a message to be sent: decided, and its permission used, before WeChat is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.outreach.domain import (
    ONE_AFTER_THE_OTHER,
    Attitude,
    Contact,
    CouponIs,
    Decision,
    Drop,
    Pending,
    Reason,
    Route,
    Send,
    State,
    Wait,
    decide,
)
from services.geo_api.outreach.repository import told
from services.geo_api.outreach.telling import outcome
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.domain import SubjectState
from services.geo_api.subjects.service import lock
from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.sending import repository
from services.geo_api.wechat.sending.repository import Claimed, Due, Permitted
from services.geo_api.wechat.sending.wording import CouponWords
from services.geo_api.wechat.tools import WeChatTools
from services.geo_api.wechat.users.domain import KnownUser
from services.geo_api.wechat.users.repository import UserRows, take_grant, take_place
from shared.contracts.events import ConsentState, Purpose
from shared.feed.outbox import enqueue

Accounts = Mapping[str, LiveAccount]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that this process is about to send.

    ``permission`` is what was used for it: the id of a grant, or the trigger of a window.
    """

    claimed: Claimed
    attempts: int
    account: LiveAccount
    user: KnownUser
    route: Route
    permission: UUID | str
    words: CouponWords


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking at a message: ``taken`` to be sent, or why it was not."""

    taken: Taken | None = None
    state: State | None = None
    reason: Reason | None = None


GONE = Looked()
"""It was erased, or somebody else has looked at it."""


async def locked(
    connection: AsyncConnection, tools: WeChatTools, subject_id: UUID, now: datetime
) -> Mapping[UUID, SubjectState] | None:
    """The subjects of a person, locked; None where the subject was erased meanwhile."""
    states = await lock(connection, tools.keys.identity, [subject_id], now)
    if states[subject_id].is_new:
        await subjects.forget(connection, [subject_id])
        return None
    return states


async def look(
    connection: AsyncConnection, tools: WeChatTools, claimed: Claimed, now: datetime
) -> Looked:
    """Decide about a claimed message, and write what was decided, in this transaction.

    One that somebody began to send and did not finish counts as sent. Raises Unavailable until
    the accounts are known.
    """
    accounts = tools.accounts.current.by_id
    states = await locked(connection, tools, claimed.subject_id, now)
    due = await repository.read(connection, claimed) if states else None
    if due is None or states is None:
        return GONE
    if due.sent_at is not None:
        return await _end(connection, tools, due, State.SENT, Reason.UNKNOWN, now)
    kin = sorted(states[claimed.subject_id].siblings)
    users = await UserRows(tools.keys.storage).known(connection, kin)
    permitted = await repository.permitted(connection, kin, now)
    decision = decide(
        _pending(due),
        attitude_of([*states.values()]),
        _contacts(users, accounts, permitted),
        await repository.past(connection, kin, now),
        now,
    )
    return await _write(connection, tools, due, decision, (users, accounts), now)


async def _write(
    connection: AsyncConnection,
    tools: WeChatTools,
    due: Due,
    decision: Decision,
    known: tuple[Sequence[KnownUser], Accounts],
    now: datetime,
) -> Looked:
    match decision:
        case Drop(reason):
            return await _end(connection, tools, due, State.DROPPED, reason, now)
        case Wait(until, reason):
            await repository.put_off(connection, due.claimed, until, reason)
            return Looked(None, State.WAITING, reason)
        case Send(account_id, subject_id, route):
            users, accounts = known
            user = next(
                u for u in users if (u.subject_id, u.account_id) == (subject_id, account_id)
            )
            return await _take(connection, tools, due, (user, accounts[account_id], route), now)


async def _take(
    connection: AsyncConnection,
    tools: WeChatTools,
    due: Due,
    way: tuple[KnownUser, LiveAccount, Route],
    now: datetime,
) -> Looked:
    """Use the permission and note that the sending begins, together."""
    user, account, route = way
    permission: UUID | str | None
    if route is Route.SUBSCRIBE_MESSAGE:
        template_id = account.outreach.coupon and account.outreach.coupon.template_id
        permission = await take_grant(connection, user, template_id or "", now)
    else:
        permission = await take_place(connection, user, now)
    if permission is None:  # spent since it was read; whoever else holds no lock may do so
        await repository.put_off(
            connection, due.claimed, now + ONE_AFTER_THE_OTHER, Reason.ONE_AT_A_TIME
        )
        return Looked(None, State.WAITING, Reason.ONE_AT_A_TIME)
    await repository.begin(connection, due.claimed, account.account_id, route, now)
    words = _words(tools, due, account)
    return Looked(Taken(due.claimed, due.attempts + 1, account, user, route, permission, words))


async def _end(
    connection: AsyncConnection,
    tools: WeChatTools,
    due: Due,
    state: State,
    reason: Reason,
    now: datetime,
) -> Looked:
    row = await repository.end(connection, due.claimed, state, reason.value)
    if row is None:
        return GONE
    await enqueue(connection, tools.feed_tables, [outcome(told(row), now)])
    return Looked(None, state, reason)


def attitude_of(states: Sequence[SubjectState]) -> Attitude:
    """One refusal is the person's; without one, one consent is."""
    said = [state.consents.get(Purpose.MARKETING_PUSH) for state in states]
    agrees = any(fact is not None and fact.state is ConsentState.GRANTED for fact in said)
    refuses = any(state.refuses_marketing for state in states)
    return Attitude(refuses=refuses, agrees=agrees and not refuses)


def _pending(due: Due) -> Pending:
    coupon = {"granted": CouponIs.VALID, "redeemed": CouponIs.USED}.get(
        due.coupon_state or "", CouponIs.WITHDRAWN
    )
    return Pending(coupon, due.expires_at, due.reason)


def _contacts(
    users: Sequence[KnownUser], accounts: Accounts, permitted: Permitted
) -> list[Contact]:
    """The open accounts that know the person."""
    return [
        _contact(user, accounts[user.account_id], permitted)
        for user in users
        if user.account_id in accounts
    ]


def _contact(user: KnownUser, account: LiveAccount, permitted: Permitted) -> Contact:
    """A text reaches nobody who unfollowed an official account, whatever window was open."""
    place, settings = (user.subject_id, user.account_id), account.outreach
    coupon = settings.coupon
    left = account.kind.is_official and user.follows is False
    template_id = coupon.template_id if coupon else None
    return Contact(
        account_id=user.account_id,
        subject_id=user.subject_id,
        limits=settings,
        writes=settings.enabled and coupon is not None and account.credentials is not None,
        grant=template_id is not None and (*place, template_id) in permitted.grants,
        window=coupon is not None
        and coupon.text is not None
        and not left
        and place in permitted.windows,
    )


def _words(tools: WeChatTools, due: Due, account: LiveAccount) -> CouponWords:
    """``decide`` let only messages of a coupon through."""
    code = ""
    if due.code is not None and due.coupon_id is not None:
        code = tools.keys.storage.decrypt(due.code, due.coupon_id.bytes).decode()
    zone = ZoneInfo(account.outreach.timezone)
    return CouponWords(due.title or "", due.store or "", due.expires_at, code, zone)

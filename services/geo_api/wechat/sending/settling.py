"""Writing down what became of a message, with its news, in one transaction."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.outreach.domain import State
from services.geo_api.outreach.repository import Said, lock_id, note_result, told
from services.geo_api.outreach.telling import outcome
from services.geo_api.wechat.sending import repository
from services.geo_api.wechat.sending.taking import Taken, locked
from services.geo_api.wechat.sending.verdicts import Verdict
from services.geo_api.wechat.tools import WeChatTools
from services.geo_api.wechat.users.repository import (
    close_windows,
    give_grant_back,
    give_place_back,
    refuse,
)
from shared.feed.backoff import backoff_s
from shared.feed.outbox import enqueue

LONGEST_PAUSE_S = 3600.0


async def settle(
    connection: AsyncConnection,
    tools: WeChatTools,
    taken: Taken,
    verdict: Verdict,
    message_id: str | None,
    now: datetime,
) -> bool:
    """Write what became of a message, and let go of what it did not use.

    False where it is not this claim's any more: then it counts as sent, or its person is erased,
    and nothing is let go.
    """
    states = await locked(connection, tools, taken.claimed.subject_id, now)
    if states is None:
        return False
    if verdict.state is State.WAITING:
        mine = await _try_again(connection, taken, verdict, now)
    else:
        mine = await _end(connection, tools, taken, verdict, message_id, now)
    if mine and verdict.gives_back:
        await _give_back(connection, taken)
    if mine and verdict.closes:
        await _close(connection, taken, now)
    if mine and verdict.state is not State.SENT:
        kin = sorted(states[taken.claimed.subject_id].siblings)
        await repository.wake_next(connection, kin, now)
    return mine


async def _try_again(
    connection: AsyncConnection, taken: Taken, verdict: Verdict, now: datetime
) -> bool:
    pause_s = verdict.retry_s
    if pause_s is None:
        pause_s = backoff_s(taken.attempts, LONGEST_PAUSE_S)
    assert verdict.reason is not None  # noqa: S101 - what waits has its reason
    due_at = now + timedelta(seconds=pause_s)
    return await repository.put_off(connection, taken.claimed, due_at, verdict.reason)


async def _end(
    connection: AsyncConnection,
    tools: WeChatTools,
    taken: Taken,
    verdict: Verdict,
    message_id: str | None,
    now: datetime,
) -> bool:
    """Tell that it ended; of one that was delivered before its answer came, that too."""
    account_id = taken.account.account_id
    if message_id is not None:
        await lock_id(connection, account_id, message_id)
    row = await repository.end(connection, taken.claimed, verdict.state, verdict.reason, message_id)
    if row is None:
        return False
    await enqueue(connection, tools.feed_tables, [outcome(told(row), now)])
    early = message_id and await repository.take_result(connection, account_id, message_id)
    if message_id and early:
        said = Said(account_id, message_id, early.delivered, early.reason)
        await note_result(connection, said, max(now, early.noted_at))
    return True


async def _give_back(connection: AsyncConnection, taken: Taken) -> None:
    if isinstance(taken.permission, UUID):
        await give_grant_back(connection, taken.user.subject_id, taken.permission)
    else:
        await give_place_back(connection, taken.user, taken.permission)


async def _close(connection: AsyncConnection, taken: Taken, now: datetime) -> None:
    """WeChat knows better what the person permits."""
    coupon = taken.account.outreach.coupon
    if isinstance(taken.permission, UUID):
        template_id = coupon.template_id if coupon else None
        await refuse(connection, taken.user, template_id or "", taken.permission, now)
    else:
        await close_windows(connection, taken.user, now)

"""The sender: claims messages that are due, decides, sends, and writes what became of them.

Every process has one. A permission is used, and the beginning noted, in a transaction before
WeChat is asked; so whoever finds a message begun and its claim over does not send it again. All
that is decided of a person is decided under the lock of its subjects, and while one message
to somebody is under way no other begins.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.faults import Fault, fault_of
from services.geo_api.outreach.domain import Route, State
from services.geo_api.wechat.accounts.notices import NoticeKind, note
from services.geo_api.wechat.sending import metrics, repository
from services.geo_api.wechat.sending.repository import Claimed
from services.geo_api.wechat.sending.settling import settle
from services.geo_api.wechat.sending.taking import Looked, Taken, look
from services.geo_api.wechat.sending.verdicts import (
    SENT,
    Failure,
    Verdict,
    after_asking,
    before_asking,
    sentence,
)
from services.geo_api.wechat.sending.wording import custom_text, template_values
from services.geo_api.wechat.tools import WeChatTools
from shared.direct import OwnConnection
from shared.wechat.answers import Credentials, SubscribeMessage, WeChatRefused, WeChatUnreachable

CLAIMED_FOR = timedelta(seconds=60)
"""Asking WeChat takes some 20 s at most. After so long a process that has not said what became of a
message is taken for dead."""

AT_ONCE = 8
"""Messages that one process sends at a time."""

POLL_S = 1.0
MEASURE_S = 15.0
NOTED_EVERY_S = 60.0
RESULTS_KEPT_FOR = timedelta(days=1)
_ATTEMPTS = 5
_PAUSE_S = 0.2

_log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class Sender:
    """Sends the messages of the database of ``tools`` until it is stopped."""

    tools: WeChatTools
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _sending: set["asyncio.Task[None]"] = field(default_factory=set)
    _noted_at: dict[tuple[str, NoticeKind], float] = field(default_factory=dict)
    _task: "asyncio.Task[None] | None" = None
    _looked_around_at: float = -math.inf
    _closing: bool = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="outreach")

    def wake(self) -> None:
        """Something has become due."""
        self._woken.set()

    async def stop(self) -> None:
        """Finish what is being sent; what waits stays for later."""
        self._closing = True
        self.wake()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        lane = OwnConnection(self.tools.database.url)
        while not self._closing:
            self._woken.clear()
            try:
                await self._look_around(lane)
                claimed = await self.turn(lane)
            except Exception as error:  # noqa: BLE001 - whatever it was, the work goes on
                _log.warning("outreach_not_claimed", error=type(error).__name__, exc_info=error)
                claimed = 0
            if not claimed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_S)
        await self.finish()
        await lane.close()

    async def turn(self, lane: OwnConnection) -> int:
        """Claim as many as there is room for, and begin with them; how many there were."""
        while len(self._sending) >= AT_ONCE:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        now = self.tools.clock()
        room = AT_ONCE - len(self._sending)
        async with lane.begin() as connection:
            claimed = await repository.claim(connection, now, now + CLAIMED_FOR, room)
        for one in claimed:
            task = asyncio.create_task(self._handle(one))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return len(claimed)

    async def finish(self) -> None:
        """Wait for what has been begun."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def _handle(self, claimed: Claimed) -> None:
        """What fails before WeChat is asked is due again once its claim is over."""
        try:
            looked = await self._insisting(self._look(claimed))
            if looked.taken is not None:
                await self._send(looked.taken)
            elif looked.state is not None:
                metrics.count(looked.state, looked.reason)
                self.tools.feed.wake()
        except Exception as error:  # noqa: BLE001 - one harms no other
            _log.warning(
                "outreach_not_handled", outreach_id=str(claimed.outreach_id), exc_info=error
            )

    def _look(self, claimed: Claimed) -> Callable[[AsyncConnection], Awaitable[Looked]]:
        return lambda connection: look(connection, self.tools, claimed, self.tools.clock())

    async def _send(self, taken: Taken) -> None:
        verdict, message_id, failure = await self._ask(taken)
        settled = await self._insisting(
            lambda connection: settle(
                connection, self.tools, taken, verdict, message_id, self.tools.clock()
            )
        )
        if settled:
            metrics.count(verdict.state, verdict.reason)
            self.tools.feed.wake()
        if verdict.state is State.WAITING or verdict.gives_back:
            self.wake()
        if failure is not None and verdict.notice is not None:
            await self._note(taken, verdict.notice, failure)

    async def _ask(self, taken: Taken) -> tuple[Verdict, str | None, Failure | None]:
        """Ask WeChat. Fetching a token comes first, for when that fails nothing was sent."""
        credentials = taken.account.credentials
        assert credentials is not None  # noqa: S101 - an account without writes to nobody
        try:
            await self.tools.tokens.current(credentials)
        except (WeChatRefused, WeChatUnreachable) as failure:
            return before_asking(failure), None, failure
        try:
            return SENT, await self._call(taken, credentials), None
        except (WeChatRefused, WeChatUnreachable) as failure:
            return after_asking(failure, taken.route), None, failure

    async def _call(self, taken: Taken, credentials: Credentials) -> str | None:
        """WeChat's id of the message, where it gives one. Raises what the client raises."""
        coupon = taken.account.outreach.coupon
        assert coupon is not None  # noqa: S101 - without one no route is chosen
        if taken.route is Route.CUSTOM_MESSAGE:
            text = custom_text(coupon.text or "", taken.words)
            await self.tools.client.send_custom_text(credentials, taken.user.openid, text)
            return None
        message = SubscribeMessage(
            taken.user.openid,
            coupon.template_id or "",
            template_values(coupon.data, taken.words),
            page=coupon.page,
            from_official_account=taken.account.kind.is_official,
        )
        return await self.tools.client.send_subscribe_message(credentials, message)

    async def _note(self, taken: Taken, kind: NoticeKind, failure: Failure) -> None:
        """Tell operators; a process tells one thing once a minute."""
        account_id, now_s = taken.account.account_id, time.monotonic()
        if now_s - self._noted_at.get((account_id, kind), -math.inf) < NOTED_EVERY_S:
            return
        self._noted_at[account_id, kind] = now_s
        coupon = taken.account.outreach.coupon
        detail = sentence(failure, taken.route, coupon.template_id if coupon else None)
        async with self.tools.database.begin() as connection:
            await note(connection, account_id, kind, detail, self.tools.clock())

    async def _insisting(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """In a transaction, again where another was quicker or the database was away."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self.tools.database.begin() as connection:
                    return await work(connection)
            except Exception as error:
                if fault_of(error) not in (Fault.CONTENTION, Fault.LOST) or attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(_PAUSE_S * attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _look_around(self, lane: OwnConnection) -> None:
        """Now and then show how far behind the sending is, and forget results that are not ours."""
        if time.monotonic() - self._looked_around_at < MEASURE_S:
            return
        now = self.tools.clock()
        async with lane.begin() as connection:
            behind = await repository.behind(connection, now)
            await repository.forget_results(connection, now - RESULTS_KEPT_FOR)
        age = now - behind.due_since if behind.due_since else timedelta(0)
        metrics.show(behind.waiting, age.total_seconds())
        self._looked_around_at = time.monotonic()

"""The half of WeChat that calls: pushes that are signed, sent, waited for and repeated.

An attempt has 3 s to connect and 5 s in all. What is not answered with 200 is sent again with the
same parameters, three times in all, about 5 s apart. After many failures an account's callback
gets nothing for a minute (MarkFail); what would have been pushed then is lost.
Source: WeChat's message-push pages; the interval from a log that users published.
"""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from wechat_sandbox.accounts import Account
from wechat_sandbox.clock import Clock
from wechat_sandbox.making import Maker
from wechat_sandbox.replies import is_legal
from wechat_sandbox.sealing import Sealed, seal

State = Literal["waiting", "acknowledged", "failed", "lost"]
_KEPT = 20_000
_MOST_ANSWER_BYTES = 65_536
_OK = 200


@dataclass(slots=True)
class PushSettings:
    """How it pushes, and what it does besides to try the callback.

    ``interval_s`` lies between the beginnings of two attempts. ``shuffle_s``: each push waits
    up to so long, so that they overtake each other. ``repeat_share``: so many of the acknowledged
    ones are sent again all the same. ``reencrypt``: a repeat has another ciphertext and
    msg_signature, under the same timestamp and nonce. ``mark_fail_after`` failed attempts within
    a minute the callback is let alone for ``mark_fail_s``.
    """

    interval_s: float = 5.0
    connect_s: float = 3.0
    total_s: float = 5.0
    attempts: int = 3
    shuffle_s: float = 0.0
    repeat_share: float = 0.0
    reencrypt: bool = False
    mark_fail_after: int = 20
    mark_fail_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """``status`` is the HTTP status, None without an answer; ``trouble`` says what went wrong."""

    at: float
    took_s: float
    status: int | None
    trouble: str | None


@dataclass(slots=True)
class Push:
    """One push and what became of it. ``reply``: the document it was answered with, if any."""

    number: int
    account_id: str
    document: dict[str, Any]
    sealed: Sealed
    state: State = "waiting"
    attempts: list[Attempt] = field(default_factory=list)
    alarm: str | None = None
    reply: bytes | None = None


class Pusher:
    """Sends pushes, each in a task of its own. ``client`` follows no redirects."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        clock: Clock,
        maker: Maker,
        settings: PushSettings | None = None,
    ) -> None:
        self.settings = settings or PushSettings()
        self.pushes: deque[Push] = deque(maxlen=_KEPT)
        self._client = client
        self._clock = clock
        self._maker = maker
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[str, deque[float]] = {}
        self._paused_until: dict[str, float] = {}

    def push(self, account: Account, document: dict[str, Any], at: float | None = None) -> Push:
        """Sign and send ``document``; ``at`` signs it with another time than the present one."""
        self._count += 1
        stamp = int(self._clock.stamp() if at is None else at)
        nonce = str(int(self._maker.next_chance() * 2_000_000_000))
        sealed = seal(account, document, timestamp=stamp, nonce=nonce)
        push = Push(self._count, account.account_id, document, sealed)
        self.pushes.append(push)
        self._start(self._send(account, push))
        return push

    def repeat(self, account: Account, push: Push) -> None:
        """Send a push again with the same parameters, whatever became of it."""
        self._start(self._attempt(account, push))

    async def settle(self, within_s: float) -> bool:
        """Wait until nothing is on its way; False if that takes longer than ``within_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
        return not self._tasks

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def paused_until(self, account_id: str) -> float | None:
        """Until when, by the clock that ages, the account's callback gets nothing."""
        until = self._paused_until.get(account_id, 0.0)
        return until if until > self._clock.now() else None

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, account: Account, push: Push) -> None:
        settings = self.settings
        if settings.shuffle_s:
            await asyncio.sleep(self._maker.next_chance() * settings.shuffle_s)
        if self.paused_until(push.account_id) is not None:
            push.state = "lost"
            return
        await self._until_acknowledged(account, push)
        if push.state == "acknowledged" and self._maker.next_chance() < settings.repeat_share:
            await self._attempt(account, push)

    async def _until_acknowledged(self, account: Account, push: Push) -> None:
        for number in range(self.settings.attempts):
            began_s = time.monotonic()
            if number and self.settings.reencrypt:
                push.sealed = push.sealed.anew(account, push.document)
            if await self._attempt(account, push):
                push.state = "acknowledged"
                return
            self._count_failure(push.account_id)
            if number + 1 < self.settings.attempts:
                next_s = began_s + self.settings.interval_s
                await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        push.state = "failed"

    async def _attempt(self, account: Account, push: Push) -> bool:
        """One POST; whether it was answered with 200 in time."""
        began_s = time.monotonic()
        status, trouble, body = None, None, b""
        try:
            async with asyncio.timeout(self.settings.total_s):
                status, body = await self._post(account, push.sealed)
        except TimeoutError:
            trouble = "timeout"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            trouble = type(error).__name__
        took_s = time.monotonic() - began_s
        push.attempts.append(Attempt(self._clock.stamp(), took_s, status, trouble))
        if status != _OK:
            push.alarm = push.alarm or trouble or f"status {status}"
            return False
        if not is_legal(account, body):
            push.alarm = "illegal reply"
        elif body not in (b"", b"success"):
            push.reply = body
        return True

    async def _post(self, account: Account, sealed: Sealed) -> tuple[int, bytes]:
        timeout = httpx.Timeout(self.settings.total_s, connect=self.settings.connect_s)
        async with self._client.stream(
            "POST",
            account.callback_url or "",
            params=sealed.query,
            content=sealed.body,
            headers={"Content-Type": sealed.content_type},
            timeout=timeout,
        ) as response:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST_ANSWER_BYTES:
                    break
            return response.status_code, body

    def _count_failure(self, account_id: str) -> None:
        now = self._clock.now()
        failures = self._failures.setdefault(account_id, deque())
        failures.append(now)
        while failures[0] < now - 60:
            failures.popleft()
        if len(failures) >= self.settings.mark_fail_after:
            self._paused_until[account_id] = now + self.settings.mark_fail_s
            failures.clear()

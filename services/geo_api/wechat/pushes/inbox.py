"""The inbox: pushes that come together are written together, and acknowledged after the commit.

As check-ins are: while one group is being written, the next one gathers, and a push that comes
alone waits for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.faults import Fault, fault_of
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.domain import SubjectState, falls_under_erasure
from services.geo_api.subjects.service import erasures
from services.geo_api.wechat.accounts.notices import NoticeKind, note
from services.geo_api.wechat.pushes import metrics, repository
from services.geo_api.wechat.pushes.domain import (
    Arrived,
    Incoming,
    body_context,
    firsts,
    holds_whereabouts,
    may_be_located,
    without_whereabouts,
)
from services.geo_api.wechat.pushes.repository import Row
from shared.direct import OwnConnection
from shared.errors import Unavailable
from shared.keys import GeoKeys

MAX_GROUP = 500
MAX_WAITING = 5_000
"""Pushes that may wait in one process: more would not be written in the time that WeChat waits."""

LANES = 2
"""Groups at the database at a time. On a busy machine, at 1,000 pushes a second, two took 0.1 s in
the median to acknowledge where one took 2 s."""

WITHIN_S = 3.5
"""Of the 5 s that WeChat gives a request, network included."""

_SESSION = {"statement_timeout": "3000", "lock_timeout": "2000"}
_ATTEMPTS = 3
_AGAIN = "The push could not be written; WeChat sends it again."

_log = structlog.get_logger(__name__)
_Waiting = tuple[Incoming, "asyncio.Future[None]"]


class NotKept(Unavailable):
    """The database does not answer in time. WeChat repeats the push; nothing is lost but time."""

    slug = "push-not-kept"
    title = "The push could not be written just now"


@dataclass(slots=True)
class Inbox:
    """Writes requests in groups, ``lanes`` at a time; ``on_kept`` is called after each commit."""

    url: str
    keys: GeoKeys
    on_kept: Callable[[], None]
    lanes: int = LANES
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: list["asyncio.Task[None]"] = field(default_factory=list)
    _closing: bool = False

    def start(self) -> None:
        lanes = [OwnConnection(self.url, _SESSION) for _ in range(self.lanes)]
        self._workers = [asyncio.create_task(self._work(lane)) for lane in lanes]

    async def stop(self) -> None:
        """Write what was accepted, then end."""
        self._closing = True
        self._arrived.set()
        await asyncio.gather(*self._workers)

    async def keep(self, incoming: Incoming) -> None:
        """Returns once the request is committed, or known to be a repeat. Raises NotKept."""
        if self._closing or len(self._waiting) >= MAX_WAITING:
            raise NotKept(_AGAIN)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((incoming, future))
        self._arrived.set()
        try:
            async with asyncio.timeout(WITHIN_S):
                await future
        except TimeoutError:
            raise NotKept(_AGAIN) from None

    async def _work(self, lane: OwnConnection) -> None:
        while True:
            await self._arrived.wait()
            group = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            if not self._waiting and not self._closing:
                self._arrived.clear()
            if group:
                await self._serve(lane, group)
            elif self._closing:
                await lane.close()
                return

    async def _serve(self, lane: OwnConnection, group: Sequence[_Waiting]) -> None:
        """Whoever was told to come again meanwhile is written all the same: a repeat does no harm."""
        try:
            await self._commit(lane, [incoming for incoming, _ in group])
        except Exception as error:  # noqa: BLE001 - every caller must hear of it
            if len(group) > 1 and fault_of(error) in (Fault.DATA, Fault.UNKNOWN):
                middle = len(group) // 2
                await self._serve(lane, group[:middle])
                await self._serve(lane, group[middle:])
                return
            _log.error("pushes_not_kept", count=len(group), exc_info=error)
            _answer(group, NotKept(_AGAIN))
            return
        _answer(group, None)
        self.on_kept()

    async def _commit(self, lane: OwnConnection, requests: Sequence[Incoming]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with lane.begin() as connection:
                    kept = await self._write(connection, firsts(requests))
            except Exception as error:
                if attempt < _ATTEMPTS and fault_of(error) in (Fault.CONTENTION, Fault.LOST):
                    continue
                raise
            metrics.count_kept(kept, len(requests) - kept)
            return

    async def _write(self, connection: AsyncConnection, requests: Sequence[Incoming]) -> int:
        whose = {one.push.subject_id for one in requests if one.push and one.push.subject_id}
        states = {state.subject_id: state for state in await subjects.read(connection, [*whose])}
        buried = await erasures(connection, self.keys.identity, whose - states.keys())
        rows = [self._row(one, states) for one in requests if not _is_erased(one, states, buried)]
        if not rows:
            return 0
        kept = await repository.keep(connection, rows)
        unreadable = {
            one.account_id: one
            for one in requests
            if one.push is None and (one.account_id, one.digest) in kept.fresh
        }
        for account_id, one in sorted(unreadable.items()):
            kind, detail = (
                NoticeKind.PUSH_UNREADABLE,
                f"A push could not be read: {one.unreadable}.",
            )
            await note(connection, account_id, kind, detail, one.received_at)
        return kept.pushes

    def _row(self, one: Incoming, states: dict[UUID, SubjectState]) -> Row:
        start = one.account_id, one.digest, one.received_at
        push = one.push
        if push is None:
            return Row(*start)
        document = push.document
        if holds_whereabouts(document) and not _may_be_located(one, push, states):
            document = without_whereabouts(document)
        context = body_context(one.account_id, push.push_id)
        body = self.keys.storage.encrypt(orjson.dumps(document), context)
        return Row(*start, push.push_id, push.subject_id, push.kind, push.occurred_at, body)


def _may_be_located(one: Incoming, push: Arrived, states: dict[UUID, SubjectState]) -> bool:
    state = None if push.subject_id is None else states.get(push.subject_id)
    return may_be_located(push, state, one.received_at)


def _is_erased(
    one: Incoming, states: dict[UUID, SubjectState], buried: dict[UUID, datetime]
) -> bool:
    """Whether it happened before the erasure of its person: then nothing is kept of it."""
    if one.push is None or one.push.subject_id is None:
        return False
    state = states.get(one.push.subject_id)
    erased_at = state.erased_at if state else buried.get(one.push.subject_id)
    return falls_under_erasure(erased_at, one.push.occurred_at, None)


def _answer(group: Sequence[_Waiting], refusal: Exception | None) -> None:
    for _, future in group:
        if future.done():
            continue
        if refusal is None:
            future.set_result(None)
        else:
            future.set_exception(refusal)

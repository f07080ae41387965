"""Handling many pushes at once: first their check-ins, then all else in one transaction.

A check-in goes through the committer, as any other does. What else comes of a push is written
together with its state, so that killing the process between the two repeats the check-in only, and
the receipt settles that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.committer import MAX_GROUP, Result
from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.proving import CodedStores
from services.geo_api.outreach.repository import note_outcome, waking
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.domain import SubjectState, falls_under_erasure
from services.geo_api.subjects.service import lock
from services.geo_api.subjects.telling import identity_observed
from services.geo_api.wechat.accounts.notices import note
from services.geo_api.wechat.pushes import repository
from services.geo_api.wechat.pushes.domain import PushState, body_context
from services.geo_api.wechat.pushes.handling import pairing, whereabouts
from services.geo_api.wechat.pushes.handling.effects import Effects, Opened
from services.geo_api.wechat.pushes.handling.presence import check_in_of
from services.geo_api.wechat.pushes.handling.social import Scenes, effects_of, scene_of
from services.geo_api.wechat.pushes.reading import identity_of
from services.geo_api.wechat.pushes.repository import Claimed, Done
from services.geo_api.wechat.scenes.repository import find_many
from services.geo_api.wechat.tools import WeChatTools
from services.geo_api.wechat.users.domain import SeenUser
from services.geo_api.wechat.users.repository import UserRows, answering, following, opening
from shared.direct import OwnConnection, run_together
from shared.errors import Internal, Refusal, Unavailable
from shared.feed.outbox import PreparedEvent, enqueuing
from shared.feed.tables import Lane
from shared.wechat.pushes import read_push

ERASED, PAIRED = "erased", "told_twice"


class CheckIns(Protocol):
    """Decides check-ins: the committer."""

    async def submit(self, check_ins: Sequence[CheckIn]) -> list[Result]: ...


class FencesInForce(Protocol):
    """The stores in the process's memory."""

    @property
    def current(self) -> CodedStores: ...


class Handled(NamedTuple):
    """A push with all that comes of it."""

    opened: Opened
    effects: Effects


@dataclass(frozen=True, slots=True)
class Handler:
    """Handles claimed pushes on a connection of its own."""

    tools: WeChatTools
    committer: CheckIns
    fences: FencesInForce

    def open(self, row: Claimed) -> Opened:
        """Read a push again. Raises AccountUnknown, and InvalidTag under another storage key."""
        if row.body is None:
            raise ValueError("a push without a body is not handled again")
        account = self.tools.accounts.known(row.account_id)
        context = body_context(row.account_id, row.push_id)
        push = read_push(orjson.loads(self.tools.keys.storage.decrypt(row.body, context)))
        return Opened(row, push, account, identity_of(push, account.app_id))

    async def check_in(
        self, lane: OwnConnection, opened: Sequence[Opened], now: datetime
    ) -> tuple[list[Opened], dict[UUID, str], list[tuple[Opened, Exception]]]:
        """Decide the check-ins that pushes are.

        Gives the pushes that go on, what became of their check-ins where that is worth a word,
        and those whose check-in could not be decided now.
        """
        async with lane.begin() as connection:
            followers = await pairing.followers(connection, [o for o in opened if o.identity])
        words: dict[UUID, str] = dict.fromkeys(followers, PAIRED)
        asked: list[tuple[Opened, CheckIn]] = []
        for one in opened:
            if one.identity is None or one.row.push_id in followers:
                continue
            check_in = check_in_of(one, self.tools.keys, self.fences.current, now)
            if check_in is not None:
                asked.append((one, check_in))
        failed = await self._decide(asked, words)
        lost = {one.row.key for one, _ in failed}
        return [one for one in opened if one.row.key not in lost], words, failed

    async def _decide(
        self, asked: Sequence[tuple[Opened, CheckIn]], words: dict[UUID, str]
    ) -> list[tuple[Opened, Exception]]:
        failed: list[tuple[Opened, Exception]] = []
        for start in range(0, len(asked), MAX_GROUP):
            part = asked[start : start + MAX_GROUP]
            try:
                results = await self.committer.submit([check_in for _, check_in in part])
            except Refusal as error:
                failed += [(one, error) for one, _ in part]
                continue
            for (one, _), result in zip(part, results, strict=True):
                if isinstance(result, Internal | Unavailable):
                    failed.append((one, result))
                elif isinstance(result, Refusal):
                    words[one.row.push_id] = result.slug
        return failed

    async def write(
        self,
        connection: AsyncConnection,
        opened: Sequence[Opened],
        words: Mapping[UUID, str],
        now: datetime,
    ) -> list[Done]:
        """Write all else that comes of pushes, and that they are handled."""
        whose = {one.row.subject_id for one in opened if one.row.subject_id}
        states = await lock(connection, self.tools.keys.identity, whose, now)
        scenes = await find_many(connection, [key for o in opened if (key := scene_of(o))])
        handled = [Handled(one, _effects(one, scenes, states)) for one in opened]
        told = await self._see(connection, handled, states, now)
        await self._revoke(connection, handled, states)
        done = [
            Done(
                one.opened.row,
                one.effects.state,
                one.effects.reason or words.get(one.opened.row.push_id),
            )
            for one in handled
        ]
        effects = [one.effects for one in handled]
        tables = self.tools.feed_tables
        facts = [*told, *(fact for one in effects for fact in one.facts)]
        urgent = [fact for one in effects for fact in one.urgent]
        await run_together(
            connection,
            [
                *following([said for one in effects for said in one.followings]),
                *answering([answer for one in effects for answer in one.answers]),
                *opening([window for one in effects for window in one.windows]),
                *waking(_reachable(effects), now),
                *enqueuing(tables, facts),
                *enqueuing(tables, urgent, lane=Lane.URGENT),
                repository.settling(done, now),
            ],
        )
        await _note(connection, handled, now)
        return done

    async def _see(
        self,
        connection: AsyncConnection,
        handled: Sequence[Handled],
        states: Mapping[UUID, SubjectState],
        now: datetime,
    ) -> list[PreparedEvent]:
        """Note whom accounts know now; the identities that member_api has not heard of."""
        seen = {one.opened.subject_id: one.opened for one in handled if one.effects.sees}
        new = [subject for subject, state in states.items() if state.is_new]
        await subjects.forget(connection, [subject for subject in new if subject not in seen])
        untold = {s: opened for s, opened in seen.items() if not states[s].identity_told}
        users = [
            SeenUser(subject, one.account.account_id, one.identity.value, now)
            for subject, one in seen.items()
            if one.identity is not None
        ]
        notes = [subjects.Seen(s, told=True, erased_at=states[s].erased_at) for s in untold]
        rows = UserRows(self.tools.keys.storage)
        await run_together(connection, [*rows.seeing(users), *subjects.touching(notes)])
        sealing = self.tools.keys.sealing
        return [
            identity_observed(sealing, subject, one.identity, now)
            for subject, one in untold.items()
            if one.identity is not None
        ]

    async def _revoke(
        self,
        connection: AsyncConnection,
        handled: Sequence[Handled],
        states: Mapping[UUID, SubjectState],
    ) -> None:
        for one in handled:
            for revocation in one.effects.revocations:
                siblings = states[revocation.subject_id].siblings
                await whereabouts.forget(
                    connection, self.tools.feed_tables, revocation, sorted(siblings)
                )


def _reachable(effects: Sequence[Effects]) -> set[UUID]:
    """Whom something may be sent to that could not be before."""
    opened = {window.subject_id for one in effects for window in one.windows}
    return opened | {answer.subject_id for one in effects for answer in one.answers}


async def _note(connection: AsyncConnection, handled: Sequence[Handled], now: datetime) -> None:
    """What operators should look at, and WeChat's word on messages: seldom, so one by one."""
    for sent in sorted(sent for one in handled for sent in one.effects.sent):
        await note_outcome(connection, *sent)
    for one in handled:
        for noticed in one.effects.notices:
            account_id = one.opened.account.account_id
            await note(connection, account_id, noticed.kind, noticed.detail, now)


def _effects(opened: Opened, scenes: Scenes, states: Mapping[UUID, SubjectState]) -> Effects:
    """What comes of a push, unless its person was erased since it happened."""
    subject = opened.row.subject_id
    erased_at = None if subject is None else states[subject].erased_at
    if falls_under_erasure(erased_at, opened.row.occurred_at, None):
        return Effects(state=PushState.HANDLED, reason=ERASED, sees=False)
    return effects_of(opened, scenes)

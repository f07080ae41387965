"""Asking WeChat for the unionids of an official account's followers.

A push names its sender by the openid at that account alone; the unionid is what makes one person
of a follower of the account and a user of the mini-program. It is asked for after the follow, a
hundred people at a time, and told to member_api as any login's is.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.accounts.troubles import is_passing, tell_operators
from services.geo_api.wechat.mini.domain import union_of
from services.geo_api.wechat.mini.joining import BY_UNIONID, Proof, introduce
from services.geo_api.wechat.tools import WeChatTools
from services.geo_api.wechat.unions import repository
from shared.wechat.answers import Credentials, WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble

AT_ONCE = 100
"""People of one call, as many as WeChat answers for."""

EVERY_S = 2.0
REST_S = 60.0
"""How long an account is left alone that WeChat did not answer for."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Asker:
    """Asks for those that no process has asked for yet."""

    tools: WeChatTools
    _resting: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """For ever, every ``EVERY_S``; at once again while there are many."""
        while True:
            try:
                went_on = await self.turn()
            except Exception as error:  # noqa: BLE001 - whatever it was, the asking goes on
                _log.warning("unionids_not_asked", error=type(error).__name__, exc_info=error)
                went_on = False
            await asyncio.sleep(0 if went_on else EVERY_S)

    async def turn(self) -> bool:
        """Ask once for each account that has somebody to ask for; whether one has more."""
        async with self.tools.database.begin() as connection:
            wanted = await repository.accounts(connection)
        known = self.tools.accounts.current.by_id
        now = asyncio.get_running_loop().time()
        ready = [known[one] for one in sorted(wanted) if one in known]
        asked = [
            await self._ask(account)
            for account in ready
            if self._resting.get(account.account_id, now) <= now
        ]
        return AT_ONCE in asked

    async def _ask(self, account: LiveAccount) -> int:
        """How many were asked for and are done with.

        The open transaction holds nothing but the account's turn and its followers' openids.
        """
        if account.credentials is None or not account.kind.is_official:
            return 0
        account_id, storage = account.account_id, self.tools.keys.storage
        async with self.tools.database.begin() as connection:
            people = await repository.wanted(connection, storage, account_id, AT_ONCE)
            if not people:
                return 0
            try:
                found = await self._found(account.credentials, [*people.values()])
            except (WeChatRefused, WeChatUnreachable) as failure:
                await self._bear(account_id, failure)
                if not _is_for_good(failure):
                    return 0
                found = {}
            await self._tell(people, found)
            await repository.note(connection, account_id, [*people], self.tools.clock())
        self.tools.feed.wake()
        return len(people)

    async def _found(
        self, credentials: Credentials, openids: Sequence[str]
    ) -> dict[str, str | None]:
        """Their unionids. One that WeChat does not know any more spoils no other's."""
        try:
            return await self.tools.client.unionids(credentials, openids)
        except WeChatRefused as refusal:
            if refusal.trouble is not Trouble.UNKNOWN_USER:
                raise
        if len(openids) == 1:
            return {}
        middle = len(openids) // 2
        first = await self._found(credentials, openids[:middle])
        return first | await self._found(credentials, openids[middle:])

    async def _tell(self, people: Mapping[UUID, str], found: Mapping[str, str | None]) -> None:
        """Each in a transaction of its own: told twice is taken once."""
        now = self.tools.clock()
        for subject, openid in people.items():
            unionid = found.get(openid)
            if unionid is None:
                continue
            proof = Proof(union_of(unionid), BY_UNIONID)
            async with self.tools.database.begin() as connection:
                await introduce(connection, self.tools, subject, None, proof, now)

    async def _bear(self, account_id: str, failure: WeChatRefused | WeChatUnreachable) -> None:
        """Leave the account alone for a while, and tell whoever can mend it."""
        self._resting[account_id] = asyncio.get_running_loop().time() + REST_S
        if not is_passing(failure):
            await tell_operators(self.tools, account_id, failure)


def _is_for_good(failure: WeChatRefused | WeChatUnreachable) -> bool:
    """Whether asking again gives the same: accounts that are not verified may not ask."""
    return isinstance(failure, WeChatRefused) and failure.trouble is Trouble.NOT_PERMITTED


@asynccontextmanager
async def asking(tools: WeChatTools) -> AsyncIterator[None]:
    """Ask in the background until the end."""
    task = asyncio.create_task(Asker(tools).run(), name="unionids")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

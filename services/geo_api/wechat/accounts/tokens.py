"""The access token of each account, one for all processes.

It lies encrypted in PostgreSQL and is renewed under an advisory lock, so that of all tasks of all
processes one asks WeChat and the others read what it got. WeChat's own limits on asking are
kept across processes too.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.accounts.notices import NoticeKind, note
from services.geo_api.wechat.accounts.rations import AFTER_REFUSAL, FORCED, Held
from services.geo_api.wechat.accounts.repository import context_of
from shared.clock import Clock
from shared.db import Database
from shared.sealing import StorageKey
from shared.wechat.answers import (
    Credentials,
    FetchedToken,
    TokenApi,
    WeChatRefused,
    WeChatUnreachable,
)
from shared.wechat.errcodes import Trouble, advice_on
from shared.wechat.tokens import Fetch

_log = structlog.get_logger(__name__)

_READ = text("""
    SELECT access_token, fetched_at, expires_at, refused_at, forced_at FROM geo.wechat_tokens
    WHERE account_id = :account_id
""")

_KEY = "hashtextextended('solomo wechat token ' || :app_id, 0)"
_LOCK = text(f"SELECT pg_advisory_xact_lock({_KEY})")
_TRY_LOCK = text(f"SELECT pg_try_advisory_xact_lock({_KEY})")
_PATIENCE = text("SET LOCAL lock_timeout = '12s'")
"""Whoever holds the lock asks WeChat at most twice, 5 s each."""

_KEEP = text("""
    INSERT INTO geo.wechat_tokens
        (account_id, access_token, fetched_at, expires_at, refused_at, forced_at)
    VALUES (:account_id, :access_token, :fetched_at, :expires_at, :refused_at, :forced_at)
    ON CONFLICT (account_id) DO UPDATE SET access_token = EXCLUDED.access_token,
        fetched_at = EXCLUDED.fetched_at, expires_at = EXCLUDED.expires_at,
        refused_at = EXCLUDED.refused_at, forced_at = EXCLUDED.forced_at
""")

PAUSE_S = 5.0
"""After a fetch in vain a process does not ask again for so long."""
NOTED_EVERY_S = 60.0
_LOCK_NOT_AVAILABLE = "55P03"
_CONTESTED = (
    "WeChat refuses each token that it gives. Does another program fetch tokens for this AppID, "
    "by force or by /cgi-bin/token?"
)
_NOTED = {
    Trouble.BAD_ACCOUNT: NoticeKind.CREDENTIALS_REFUSED,
    Trouble.IP_NOT_ALLOWED: NoticeKind.ADDRESS_NOT_ALLOWED,
    Trouble.QUOTA: NoticeKind.QUOTA_USED_UP,
    Trouble.TOKEN: NoticeKind.TOKEN_CONTESTED,
}

Failure = WeChatRefused | WeChatUnreachable


class TokenStore:
    """A ``TokenSource`` for all processes that share a database.

    In one process, too, one task asks at a time; the others wait for it without a connection.
    """

    def __init__(
        self,
        database: Database,
        storage: StorageKey,
        clock: Clock,
        fetch: Fetch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._storage, self._clock, self._fetch = database, storage, clock, fetch
        self._monotonic = monotonic
        self._turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._in_vain: dict[Credentials, tuple[float, Failure]] = {}
        self._noted_at: dict[tuple[str, NoticeKind], float] = {}

    async def current(self, credentials: Credentials) -> str:
        """A token that lives. Raises WeChatRefused and WeChatUnreachable.

        From five minutes before its end on it is renewed; while that fails, or another process
        is at it, the old one serves.
        """
        held = await self._held(credentials)
        if fresh := held.fresh(self._clock()):
            return fresh
        async with self._turn[credentials.app_id]:
            try:
                return await self._renew(credentials)
            except (WeChatRefused, WeChatUnreachable) as failure:
                await self._note(credentials, failure)
                held = await self._held(credentials)
                if living := held.living(self._clock()):
                    return living
                raise

    async def renewed(self, credentials: Credentials, used: str) -> str:
        """Another token than ``used``, which WeChat refused. Raises as ``current`` does.

        Where somebody renewed it meanwhile, that one. If WeChat only gives the same again, a
        new one is demanded, as often as that is allowed.
        """
        async with self._turn[credentials.app_id]:
            return await self._replace(credentials, used)

    async def checked(self, credentials: Credentials) -> None:
        """Ask WeChat for a token now, to see that the credentials hold. Raises as ``current``.

        A classic token that lives is left alone: asking would end it for whoever uses it.
        """
        self._in_vain.pop(credentials, None)
        async with self._turn[credentials.app_id], self._database.begin() as connection:
            await _lock(connection, credentials)
            held, now = await self._read(connection, credentials), self._clock()
            if credentials.token_api is TokenApi.CLASSIC and held.fresh(now):
                return
            fetched = await self._fetch(credentials, False)
            await self._keep(connection, credentials, held.with_token(fetched, now))

    async def _renew(self, credentials: Credentials) -> str:
        """The token, fetched unless somebody did so while this one waited for its turn."""
        held, now = await self._held(credentials), self._clock()
        if fresh := held.fresh(now):
            return fresh
        self._pause_after_failure(credentials)
        living = held.living(now)
        async with self._database.begin() as connection:
            if living and not await _try_lock(connection, credentials):
                return living
            await _lock(connection, credentials)
            held = await self._read(connection, credentials)
            if fresh := held.fresh(now):
                return fresh
            fetched = await self._fetched(credentials)
            await self._keep(connection, credentials, held.with_token(fetched, now))
        return fetched.access_token

    async def _replace(self, credentials: Credentials, used: str) -> str:
        """What was asked for is kept even if it was asked for in vain, for WeChat counts it."""
        async with self._database.begin() as connection:
            await _lock(connection, credentials)
            held, now = await self._read(connection, credentials), self._clock()
            if (other := held.living(now)) and other != used:
                return other
            held, failure = await self._another(credentials, held, used)
            await self._keep(connection, credentials, held)
        if failure is not None:
            await self._note(credentials, failure)
            raise failure
        return held.token or ""

    async def _another(
        self, credentials: Credentials, held: Held, used: str
    ) -> tuple[Held, Failure | None]:
        """Ask WeChat, and demand a new one if it gives the one that it refused."""
        now = self._clock()
        if not AFTER_REFUSAL.allows(held.refused_at, now):
            return held, _contested()
        held = held.refused(now)
        try:
            fetched = await self._fetch(credentials, False)
            if fetched.access_token == used:
                if not FORCED.allows(held.forced_at, now):
                    return held.with_token(fetched, now), _contested()
                held = held.forced(now)
                fetched = await self._fetch(credentials, True)
        except (WeChatRefused, WeChatUnreachable) as failure:
            return held, failure
        return held.with_token(fetched, now), None

    async def _fetched(self, credentials: Credentials) -> FetchedToken:
        try:
            fetched = await self._fetch(credentials, False)
        except (WeChatRefused, WeChatUnreachable) as failure:
            self._in_vain[credentials] = self._monotonic() + PAUSE_S, failure
            raise
        self._in_vain.pop(credentials, None)
        return fetched

    def _pause_after_failure(self, credentials: Credentials) -> None:
        """Raise the failure of a fetch a moment ago, rather than let every caller wait for it."""
        until, failure = self._in_vain.get(credentials, (0.0, None))
        if failure is not None and self._monotonic() < until:
            raise failure.with_traceback(None)

    async def _note(self, credentials: Credentials, failure: Failure) -> None:
        """Tell operators of what only they can mend; a process tells one thing once a minute."""
        if not isinstance(failure, WeChatRefused) or failure.trouble not in _NOTED:
            return
        kind, detail = _NOTED[failure.trouble], advice_on(failure.trouble).sentence
        place, now_s = (credentials.account_id, kind), self._monotonic()
        if now_s - self._noted_at.get(place, -math.inf) < NOTED_EVERY_S:
            return
        self._noted_at[place] = now_s
        async with self._database.begin() as connection:
            await note(connection, credentials.account_id, kind, detail, self._clock())

    async def _held(self, credentials: Credentials) -> Held:
        async with self._database.begin() as connection:
            return await self._read(connection, credentials)

    async def _read(self, connection: AsyncConnection, credentials: Credentials) -> Held:
        rows = await connection.execute(_READ, {"account_id": credentials.account_id})
        row = rows.first()
        if row is None:
            return Held()
        token = (
            row.access_token
            and self._storage.decrypt(row.access_token, _context(credentials)).decode()
        )
        return Held(
            token, row.fetched_at, row.expires_at, tuple(row.refused_at), tuple(row.forced_at)
        )

    async def _keep(
        self, connection: AsyncConnection, credentials: Credentials, held: Held
    ) -> None:
        token = held.token and self._storage.encrypt(held.token.encode(), _context(credentials))
        values = {
            "account_id": credentials.account_id,
            "access_token": token,
            "fetched_at": held.fetched_at,
            "expires_at": held.expires_at,
            "refused_at": list(held.refused_at),
            "forced_at": list(held.forced_at),
        }
        await connection.execute(_KEEP, values)


async def _lock(connection: AsyncConnection, credentials: Credentials) -> None:
    """Until the end of the transaction. Raises WeChatUnreachable when another never ends."""
    await connection.execute(_PATIENCE)
    try:
        await connection.execute(_LOCK, {"app_id": credentials.app_id})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        reason = "another process has been renewing the token for too long"
        raise WeChatUnreachable(reason, maybe_done=False) from None


async def _try_lock(connection: AsyncConnection, credentials: Credentials) -> bool:
    """The same at once or not at all."""
    return bool(await connection.scalar(_TRY_LOCK, {"app_id": credentials.app_id}))


def _context(credentials: Credentials) -> bytes:
    return context_of(credentials.account_id, "access_token")


def _contested() -> WeChatRefused:
    return WeChatRefused(Trouble.TOKEN, None, _CONTESTED, retry_after_s=60)

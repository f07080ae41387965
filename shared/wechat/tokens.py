"""Access tokens where there is no database: kept by one process, for itself."""

import time
from collections.abc import Awaitable, Callable

from shared.wechat.answers import Credentials, FetchedToken

Fetch = Callable[[Credentials, bool], Awaitable[FetchedToken]]
"""Fetches an access token; the second argument demands a new one."""

RENEWED_BEFORE_S = 300
"""A token is renewed so long before its end; WeChat keeps the old one alive meanwhile."""


class MemoryTokens:
    """The tokens of one process alone: for programs without a database, and for tests."""

    def __init__(self, fetch: Fetch, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._held: dict[str, tuple[str, float]] = {}

    async def current(self, credentials: Credentials) -> str:
        token, good_until = self._held.get(credentials.app_id, ("", 0.0))
        return token if self._monotonic() < good_until else await self._renew(credentials, False)

    async def renewed(self, credentials: Credentials, used: str) -> str:
        held = self._held.get(credentials.app_id, ("", 0.0))[0]
        if held and held != used:
            return held
        token = await self._renew(credentials, False)
        return token if token != used else await self._renew(credentials, True)

    async def checked(self, credentials: Credentials) -> None:
        await self._renew(credentials, False)

    async def _renew(self, credentials: Credentials, force: bool) -> str:
        fetched = await self._fetch(credentials, force)
        good_until = self._monotonic() + fetched.expires_in - RENEWED_BEFORE_S
        self._held[credentials.app_id] = fetched.access_token, good_until
        return fetched.access_token

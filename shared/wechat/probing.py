"""Asking a callback as WeChat does when its address is entered in the console."""

from collections.abc import Mapping

import httpx

_TIMEOUT = httpx.Timeout(5.0, connect=3.0)
_OK = 200


class Probe:
    """``transport`` is the network's, but for tests."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport

    async def fault(self, url: str, query: Mapping[str, str], echo: str) -> str | None:
        """Why ``url`` does not give back ``echo``, in words; None: it does."""
        try:
            async with httpx.AsyncClient(
                transport=self._transport,
                timeout=_TIMEOUT,
                follow_redirects=False,
                trust_env=False,
            ) as client:
                response = await client.get(url, params=dict(query))
        except httpx.HTTPError as error:
            return f"no connection ({type(error).__name__})"
        if response.is_redirect:
            return "it redirects, which WeChat does not follow"
        if response.status_code != _OK:
            return f"status {response.status_code}"
        return None if response.content == echo.encode() else "it answers something else"

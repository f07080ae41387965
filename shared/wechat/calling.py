"""One call to WeChat: which address, how long, and what its answer is.

Addresses hold tokens and secrets, so nothing here logs one or puts one into an exception.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import structlog
from prometheus_client import Counter

from shared.clock import Clock, utc_now
from shared.logs import RedactAddresses
from shared.wechat.answers import WeChatRefused, WeChatUnreachable, without_rid
from shared.wechat.errcodes import trouble_of
from shared.wechat.hosts import checked_base

CONNECT_S, TOTAL_S = 3.0, 5.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
BASE_RESTS_S = 30.0
"""How long an address that was not reached is tried last."""
_BUSY_PAUSE_S = 0.2
_SYSTEM_BUSY = -1
_IMAGES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8")
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_SUCCESS, _SERVER_FAULT = range(200, 300), 500

_CALLS = Counter("solomo_wechat_calls_total", "Calls to WeChat by outcome.", ("api", "outcome"))
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """``path`` names the API; ``query`` and ``body`` may hold secrets, and stay out of the repr.

    ``may_repeat``: asking twice does no harm, so that another address may be tried after an
    attempt of which nobody knows what became.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    may_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """``document`` is that of JSON; an image has none."""

    content: bytes = field(repr=False)
    document: Mapping[str, Any] | None = field(repr=False)


class Caller:
    """Calls the first of ``bases`` that answers.

    Connecting may take 3 s and a call 5 s in all. ``skew_s`` is how far this machine's clock is
    ahead of WeChat's, as the last answer told it; None before.
    """

    def __init__(
        self,
        bases: tuple[str, ...],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        total_s: float = TOTAL_S,
    ) -> None:
        self._bases = tuple(checked_base(base) for base in bases)
        self._rests_until = dict.fromkeys(self._bases, 0.0)
        self._clock, self._monotonic, self._total_s = clock, monotonic, total_s
        self.skew_s: float | None = None
        timeout = httpx.Timeout(total_s, connect=min(CONNECT_S, total_s))
        self._client = httpx.AsyncClient(
            transport=transport, timeout=timeout, follow_redirects=False, trust_env=False
        )
        logging.getLogger("httpx").addFilter(RedactAddresses())

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, call: Call) -> Answer:
        """What WeChat answers. Raises WeChatRefused and WeChatUnreachable."""
        try:
            answer = await self._patiently(call)
        except WeChatRefused as refusal:
            _CALLS.labels(call.path, refusal.trouble).inc()
            _log.info(
                "wechat_refused",
                api=call.path,
                trouble=refusal.trouble,
                errcode=refusal.errcode,
                rid=refusal.rid,
            )
            raise
        except WeChatUnreachable as failure:
            _CALLS.labels(call.path, "unreachable").inc()
            _log.warning("wechat_unreachable", api=call.path, reason=failure.reason)
            raise
        _CALLS.labels(call.path, "done").inc()
        return answer

    async def _patiently(self, call: Call) -> Answer:
        """Within the time there is; a busy WeChat is asked once more where that does no harm."""
        try:
            async with asyncio.timeout(self._total_s):
                try:
                    return await self._anywhere(call)
                except WeChatRefused as refusal:
                    if refusal.errcode != _SYSTEM_BUSY or not call.may_repeat:
                        raise
                await asyncio.sleep(_BUSY_PAUSE_S)
                return await self._anywhere(call)
        except TimeoutError:
            reason = f"no answer within {self._total_s:g} s"
            raise WeChatUnreachable(reason, maybe_done=True) from None

    async def _anywhere(self, call: Call) -> Answer:
        """Try the addresses, those that failed of late last."""
        failure = WeChatUnreachable("there is no address", maybe_done=False)
        now = self._monotonic()
        for base in sorted(self._bases, key=lambda one: self._rests_until[one] > now):
            try:
                answer = await self._at(base, call)
            except WeChatUnreachable as error:
                self._rests_until[base] = self._monotonic() + BASE_RESTS_S
                failure = error
                if error.maybe_done and not call.may_repeat:
                    break
            else:
                self._rests_until[base] = 0.0
                return answer
        raise failure

    async def _at(self, base: str, call: Call) -> Answer:
        request = self._client.build_request(
            "GET" if call.body is None else "POST",
            f"{base}{call.path}",
            params=dict(call.query) or None,
            json=call.body,
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                content = await _read(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            sent = not isinstance(error, _NOT_SENT)
            raise WeChatUnreachable(type(error).__name__, maybe_done=sent) from None
        self._note_skew(response)
        return read_answer(response.status_code, content, _secrets_of(call))

    def _note_skew(self, response: httpx.Response) -> None:
        try:
            theirs = parsedate_to_datetime(response.headers.get("date", ""))
        except (ValueError, TypeError):
            return
        if theirs.tzinfo is None:
            theirs = theirs.replace(tzinfo=UTC)
        self.skew_s = (self._clock() - theirs).total_seconds()


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise WeChatUnreachable("the answer is too large", maybe_done=True)
    return bytes(content)


def read_answer(status: int, content: bytes, secrets: tuple[str, ...] = ()) -> Answer:
    """An image, or JSON without an error. Raises WeChatRefused and WeChatUnreachable.

    ``secrets`` are blotted out in what WeChat says of them.
    """
    if status in _SUCCESS and content.startswith(_IMAGES):
        return Answer(content, None)
    document = read_leniently(content)
    if document is None:
        known = status not in _SUCCESS and status < _SERVER_FAULT
        reason = f"status {status}, and no answer that can be read"
        raise WeChatUnreachable(reason, maybe_done=not known)
    errcode = _number(document.get("errcode", 0))
    if errcode != 0:
        raise _refusal(errcode, str(document.get("errmsg", "")), secrets)
    if status not in _SUCCESS:
        raise WeChatUnreachable(f"status {status}", maybe_done=status >= _SERVER_FAULT)
    return Answer(content, document)


def read_leniently(content: bytes) -> Mapping[str, Any] | None:
    """A JSON object, as WeChat writes it: with broken UTF-8 and control characters at times."""
    text = content.decode("utf-8-sig", errors="ignore")
    try:
        document = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _refusal(errcode: int, errmsg: str, secrets: tuple[str, ...]) -> WeChatRefused:
    words, rid = without_rid(errmsg)
    for secret in secrets:
        words = words.replace(secret, "…")
    return WeChatRefused(trouble_of(errcode), errcode, words[:300], rid)


def _number(errcode: Any) -> int:
    try:
        return int(errcode)
    except (TypeError, ValueError):
        return 0


def _secrets_of(call: Call) -> tuple[str, ...]:
    """Texts of a call that an answer might repeat, short ones aside."""
    texts = [*call.query.values(), *(call.body or {}).values()]
    return tuple(text for text in texts if isinstance(text, str) and len(text) >= 12)  # noqa: PLR2004 - shorter ones are words

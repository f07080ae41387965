"""The other service as the feed sees it: a batch goes out, an answer comes back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
import orjson

from shared.contracts.events import Applied
from shared.feed.drain import DueEvent

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 30.0

_OF_THE_BATCH = frozenset({400, 413, 422})
"""The peer reads, and will not have this: sending it again changes nothing."""

_OF_THE_PEER = frozenset({401, 403, 404, 405, 408, 425, 429, 502, 503, 504})
"""Whatever was sent, the answer would have been the same."""

_STATUSES: Mapping[str, Applied] = {status.value: status for status in Applied}

_NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Verdict(NamedTuple):
    """What the peer says of one event; ``status`` None if it says nothing that can be read."""

    status: Applied | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The batch as a whole is not acceptable: one of its events, or its size, is to blame."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing is known of any event.

    ``may_be_the_events`` tells whether one of them may be the cause, as when the peer answers
    500 or breaks off. ``retry_after_s`` is what the peer asks for, or 0.
    """

    reason: str
    may_be_the_events: bool
    retry_after_s: float = 0.0


Answer = list[Verdict] | Rejected | Unanswered


class Peer:
    """Posts batches to ``url``, with a fresh ``token()`` each, over connections kept alive."""

    def __init__(
        self, url: str, token: Callable[[], str], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url
        self._token = token
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    async def tell(self, events: Sequence[DueEvent]) -> Answer:
        """Send the events as one batch; never raises for what the network or the peer does."""
        try:
            response = await self._client.post(
                self._url,
                content=batch_body(events),
                headers={
                    "Authorization": f"Bearer {self._token()}",
                    "Content-Type": "application/json",
                },
            )
        except _NEVER_ARRIVED as error:
            return Unanswered(type(error).__name__, may_be_the_events=False)
        except httpx.HTTPError as error:
            return Unanswered(type(error).__name__, may_be_the_events=True)
        return read_answer(events, response)

    async def close(self) -> None:
        await self._client.aclose()


def batch_body(events: Sequence[DueEvent]) -> bytes:
    """``{"events": [...]}`` of payloads that are JSON already."""
    return ('{"events":[' + ",".join(event.payload for event in events) + "]}").encode()


def read_answer(events: Sequence[DueEvent], response: httpx.Response) -> Answer:
    """Sort an answer into what is known of each event, of the batch, or of nothing."""
    status = response.status_code
    if response.is_success:
        return _verdicts(events, response.content)
    reason = f"{status} {_detail(response.content)}".strip()
    if status in _OF_THE_BATCH:
        return Rejected(reason)
    return Unanswered(reason, status not in _OF_THE_PEER, _retry_after_s(response))


def _verdicts(events: Sequence[DueEvent], content: bytes) -> Answer:
    """Verdicts by position, each believed only if it names the event it is about."""
    try:
        results = orjson.loads(content)["results"]
    except (ValueError, KeyError, TypeError):
        results = None
    if not isinstance(results, list):
        return Unanswered("the answer is not one of the feed", may_be_the_events=True)
    known = [_verdict(event, said) for event, said in zip(events, results, strict=False)]
    missing = len(events) - len(known)
    return known + [Verdict(None, "the answer left the event out")] * missing


def _verdict(event: DueEvent, said: Any) -> Verdict:
    if not isinstance(said, dict) or said.get("id") != str(event.event_id):
        return Verdict(None, "the answer names another event")
    status = _STATUSES.get(str(said.get("status")))
    if status is None:
        return Verdict(None, "the answer has an unknown status")
    return Verdict(status, str(said.get("reason") or "no reason given"))


def _detail(content: bytes) -> str:
    """The detail of a problem document, if that is what came."""
    try:
        return str(orjson.loads(content).get("detail", ""))
    except (ValueError, AttributeError):
        return ""


def _retry_after_s(response: httpx.Response) -> float:
    said = response.headers.get("retry-after", "")
    return float(said) if said.isdecimal() else 0.0

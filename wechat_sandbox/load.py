"""Many pushes a second, each at its time, as WeChat sends them: with repeats, out of order.

``python -m wechat_sandbox.load --help``. Everything is sealed before the first is sent, and
connections are raw, so that little of the machine is taken from the callback that is measured.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import uvloop

from shared.wechat.callback import Format, Mode
from wechat_sandbox import events
from wechat_sandbox.accounts import Account, Kind
from wechat_sandbox.events import Document, Place
from wechat_sandbox.making import Maker
from wechat_sandbox.sealing import seal
from wechat_sandbox.sockets import Connections

_OK = 200
_KINDS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """``rate`` new pushes a second for ``seconds``, by ``people`` people about ``centre``.

    ``repeat_share`` of them are sent again after ``interval_s`` although they were acknowledged;
    each is late by up to ``shuffle_s``, so that they overtake each other. What is not answered 200
    within 5 s is sent again ``interval_s`` after it was, ``attempts`` times in all.
    """

    rate: float
    seconds: float
    people: int = 1_000
    repeat_share: float = 0.02
    shuffle_s: float = 2.0
    attempts: int = 3
    interval_s: float = 5.0
    connections: int = 64
    seed: str = "load"
    centre: Place = field(default_factory=lambda: Place(40.6679, -74.0418))


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it. Latencies are from when a request was due until its answer was whole.

    ``outcomes`` counts requests by HTTP status, ``timeout`` or ``cut``; ``unacknowledged`` are
    pushes that no attempt got through; ``messages`` is how many different pushes there were.
    """

    messages: int
    requests: int
    outcomes: dict[str, int]
    unacknowledged: int
    seconds: float
    p50_ms: float
    p99_ms: float
    worst_ms: float


@dataclass(slots=True)
class _Tally:
    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    unacknowledged: int = 0


def documents(account: Account, plan: Plan, at: float) -> Iterator[Document]:
    """Pushes of all the usual kinds, each different from every other, dated ``at``."""
    maker = Maker(plan.seed)
    for number in range(round(plan.rate * plan.seconds)):
        openid = maker.openid(account.app_id, f"load-{number % plan.people}")
        kind = (number // plan.people + number) % _KINDS
        yield _document(account, openid, at - number % 60, number, kind, plan.centre)


def _document(
    account: Account, openid: str, at: float, number: int, kind: int, centre: Place
) -> Document:
    near = Place(centre.latitude + number % 997 * 1e-5, centre.longitude + number % 991 * 1e-5)
    if kind == 0:
        fields = {**events.location_fields(near), "MsgId": 25_000_000_000_000_000 + number}
        return {**events.envelope(account, openid, at, "location"), **fields}
    if kind == 1:
        fields = {"Content": f"hello {number}", "MsgId": 25_000_000_000_000_000 + number}
        return {**events.envelope(account, openid, at, "text"), **fields}
    if kind == 2:  # noqa: PLR2004 - the kinds are numbered
        return events.event(account, openid, at, "CLICK", EventKey=f"CHECKIN-{number}")
    if kind == 3:  # noqa: PLR2004
        ticket = f"gQ{number:x}"
        return events.event(account, openid, at, "SCAN", EventKey="store-1", Ticket=ticket)
    return events.event(account, openid, at, "LOCATION", **events.report_fields(near, 10 + number))


async def push_load(account: Account, plan: Plan) -> Report:
    """Push to the account's callback as ``plan`` says.

    Raises ValueError for an account without a callback on plain HTTP.
    """
    url = urlsplit(account.callback_url or "")
    if url.scheme != "http" or url.hostname is None:
        raise ValueError("the load goes to a callback on plain HTTP, such as http://127.0.0.1:8001")
    due = _schedule(account, plan, url.path, url.netloc)
    tally = _Tally()
    began_s = time.monotonic()
    async with Connections(url.hostname, url.port or 80, plan.connections) as connections:
        await _Sender(plan, connections, tally).send_all(due, began_s)
    return _report(tally, round(plan.rate * plan.seconds), time.monotonic() - began_s)


def _schedule(account: Account, plan: Plan, path: str, host: str) -> list[tuple[float, bytes]]:
    """Requests with the second that each is due, in that order."""
    maker = Maker(plan.seed + "-times")
    at = int(time.time())
    due = []
    for number, document in enumerate(documents(account, plan, at)):
        sealed = seal(account, document, timestamp=at, nonce=str(1_000_000 + number))
        request = _request(path, host, sealed.query, sealed.body, sealed.content_type)
        second = number / plan.rate + maker.next_chance() * plan.shuffle_s
        due.append((second, request))
        if maker.next_chance() < plan.repeat_share:
            due.append((second + plan.interval_s, request))
    return sorted(due, key=lambda one: one[0])


def _request(path: str, host: str, query: Any, body: bytes, content_type: str) -> bytes:
    head = (
        f"POST {path}?{urlencode(query)} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True, slots=True)
class _Sender:
    plan: Plan
    connections: Connections
    tally: _Tally

    async def send_all(self, due: Sequence[tuple[float, bytes]], began_s: float) -> None:
        """Begin each request when it is due, whether or not those before it are answered."""
        async with asyncio.TaskGroup() as group:
            for second, request in due:
                await asyncio.sleep(max(0.0, began_s + second - time.monotonic()))
                group.create_task(self._send(began_s + second, request))

    async def _send(self, due_s: float, request: bytes) -> None:
        for _ in range(self.plan.attempts):
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            outcome = await self.connections.ask(request)
            self.tally.outcomes[str(outcome)] += 1
            self.tally.latencies_s.append(time.monotonic() - due_s)
            if outcome == _OK:
                return
            due_s = max(due_s + self.plan.interval_s, time.monotonic())
        self.tally.unacknowledged += 1


def _report(tally: _Tally, messages: int, seconds: float) -> Report:
    latencies_ms = sorted(1_000 * latency_s for latency_s in tally.latencies_s) or [0.0]
    return Report(
        messages=messages,
        requests=len(tally.latencies_s),
        outcomes=dict(tally.outcomes),
        unacknowledged=tally.unacknowledged,
        seconds=round(seconds, 2),
        p50_ms=round(statistics.median(latencies_ms), 2),
        p99_ms=round(latencies_ms[int(len(latencies_ms) * 0.99)], 2),
        worst_ms=round(latencies_ms[-1], 2),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report as JSON; 1 says that something was not acknowledged."""
    arguments = _parser().parse_args(argv)
    account = account_of(json.loads(arguments.account.read_text()), arguments.url)
    plan = Plan(
        rate=arguments.rate,
        seconds=arguments.seconds,
        people=arguments.people,
        repeat_share=arguments.repeat_share,
        shuffle_s=arguments.shuffle_s,
        connections=arguments.connections,
        attempts=arguments.attempts,
    )
    report = uvloop.run(push_load(account, plan))
    print(json.dumps(asdict(report)))  # noqa: T201 - a program's result
    return 1 if report.unacknowledged else 0


def account_of(record: dict[str, Any], url: str) -> Account:
    """An account out of a record as ``./solomo wechat-sandbox --json`` prints it."""
    return Account(
        account_id="load",
        kind=Kind(record.get("kind", Kind.SERVICE)),
        app_id=record["app_id"],
        app_secret="",
        original_id=record["original_id"],
        format=Format(record["format"]),
        mode=Mode(record["mode"]),
        token=record["token"],
        aes_key=record["aes_key"],
        callback_url=url,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wechat_sandbox.load", description=__doc__)
    add = parser.add_argument
    add("--url", required=True, help="the callback, such as http://127.0.0.1:8001/v1/wechat/shop/callback")  # fmt: skip
    add("--account", type=Path, required=True, metavar="FILE",
        help="JSON with app_id, original_id, token, aes_key, mode and format")  # fmt: skip
    add("--rate", type=float, default=100.0, help="new pushes a second (default: 100)")
    add("--seconds", type=float, default=10.0, help="for how long (default: 10)")
    add("--people", type=int, default=1_000, help="who send them (default: 1000)")
    add("--repeat-share", type=float, default=0.02, help="sent again all the same (default: 0.02)")
    add("--shuffle-s", type=float, default=2.0, help="late by up to this (default: 2)")
    add("--connections", type=int, default=64, help="at once, at most (default: 64)")
    add("--attempts", type=int, default=3, help="how often each is tried (default: 3)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

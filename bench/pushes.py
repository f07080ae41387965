"""WeChat's pushes by the second, acknowledged and handled: ``python -m bench.pushes``.

The load is that of the stand-in (``wechat_sandbox.load``): places, texts, menu clicks, scans and
location reports of 1,000 people in equal shares, encrypted, each late by up to 2 s so that they
overtake each other, one in fifty sent again. It pushes at a real geo_api process with a store and
an offer about the place; two fifths of the pushes become check-ins. At the end it is counted that
each push stands in the tables and in member_api's timelines once.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from bench.installation import PROJECT, Installation, ask, installation, open_offer
from wechat_sandbox.load import Plan, account_of, documents

RECORD = {
    "kind": "service",
    "app_id": "wx0011223344556677",
    "original_id": "gh_51a2b3c4d5e6",
    "token": "AAAAtoken",
    "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "mode": "secure",
    "format": "xml",
}
WARM_UP = RECORD | {"app_id": "wx7766554433221100"}
CONNECTIONS = 500
"""As many as the load may open: a callback that takes 0.1 s to answer needs 100 of them."""

LAT, LON = 40.6679, -74.0418
TOLD_AS = {
    "location": ("social_message_received", "check_in"),
    "text": ("social_message_received",),
    "CLICK": ("social_menu_used",),
    "SCAN": ("social_scanned",),
    "LOCATION": ("check_in",),
}
_POLL_S = 0.5
_PATIENCE_S = 600.0

_BEHIND = """
    SELECT count(*), coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8
    FROM geo.wechat_pushes WHERE state = 'waiting'
"""
_STATES = "SELECT json_object_agg(state, n) FROM (SELECT state, count(*) AS n FROM geo.wechat_pushes GROUP BY 1) s"
_TIMELINE = "SELECT json_object_agg(type, n) FROM (SELECT type, count(*) AS n FROM member.timeline_items GROUP BY 1) s"
_ATTEMPTS = "SELECT coalesce(max(attempts), 0) FROM geo.wechat_pushes"


@dataclass(slots=True)
class Lag:
    """How far the handling was behind, as seen twice a second."""

    waiting: list[int] = field(default_factory=list)
    oldest_s: list[float] = field(default_factory=list)

    async def watch(self, url: str, until: asyncio.Event) -> None:
        connection = await asyncpg.connect(url)
        try:
            while not until.is_set():
                [(waiting, oldest_s)] = await connection.fetch(_BEHIND)
                self.waiting.append(waiting)
                self.oldest_s.append(oldest_s)
                await asyncio.sleep(_POLL_S)
        finally:
            await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--rate", type=float, default=1_000, help="new pushes a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with installation() as home:
        with home.client() as client:
            _prepare(client)
        _push(home, Plan(rate=100, seconds=3), "warm-up", WARM_UP)
        _drained(home, time.monotonic())
        _told(home)
        result = _measure(home, Plan(rate=arguments.rate, seconds=arguments.seconds))
    _report(result, as_json=arguments.json)


def _prepare(client: httpx.Client) -> None:
    """An account whose people consent by sharing, and a store with an offer where they are."""
    said = {"name": "Bench", "location_datum": "wgs84", "consent_version": "bench"}
    for account_id, record in (("bench", RECORD), ("warm-up", WARM_UP)):
        client.put(f"/v1/wechat/accounts/{account_id}", json=record | said).raise_for_status()
    store = {"name": "S", "latitude": LAT, "longitude": LON, "timezone": "America/New_York"}
    client.put("/v1/stores/s1", json=store).raise_for_status()
    circle = {"type": "Circle", "coordinates": [LON, LAT], "radius_m": 150}
    fence = {"store_id": "s1", "datum": "wgs84", "geometry": circle}
    client.put("/v1/geofences/s1", json=fence).raise_for_status()
    open_offer(client)
    time.sleep(2)  # the process follows


def _measure(home: Installation, plan: Plan) -> dict[str, Any]:
    stood = Counter(json.loads(ask(home.database_url, _TIMELINE) or "{}"))
    pushed_before = sum(json.loads(ask(home.database_url, _STATES) or "{}").values())
    spent, lag, over = home.processor_s(), Lag(), asyncio.Event()

    async def run() -> tuple[dict[str, Any], float]:
        watching = asyncio.create_task(lag.watch(home.database_url, over))
        load = await asyncio.to_thread(_push, home, plan)
        ended = time.monotonic()
        drained_s = await asyncio.to_thread(_drained, home, ended)
        over.set()
        await watching
        return load, drained_s

    load, drained_s = asyncio.run(run())
    told_s = _told(home)
    after = home.processor_s()
    states = json.loads(ask(home.database_url, _STATES))
    timeline = Counter(json.loads(ask(home.database_url, _TIMELINE)))
    expected = _expected(plan)
    counted = {kind: timeline[kind] - stood[kind] for kind in expected}
    kept = sum(states.values()) - pushed_before
    once = counted == expected and kept == load["messages"] and set(states) == {"handled"}
    pushes = load["messages"]
    return {
        "load": load,
        "once": once,
        "counted": counted,
        "expected": expected,
        "states": states,
        "most_attempts": ask(home.database_url, _ATTEMPTS),
        "waiting_at_most": max(lag.waiting),
        "oldest_at_most_s": round(max(lag.oldest_s), 2),
        "handled_after_s": round(drained_s, 2),
        "told_after_s": round(told_s, 2),
        "spent_us": {part: round((after[part] - spent[part]) / pushes * 1e6) for part in spent},
        "load_average": os.getloadavg()[0],
    }


def _push(
    home: Installation,
    plan: Plan,
    account_id: str = "bench",
    record: Mapping[str, str] = RECORD,
) -> dict[str, Any]:
    """Run the load in a process of its own; its report."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(record, file)
        file.flush()
        command = [
            sys.executable, "-m", "wechat_sandbox.load", "--account", file.name,
            "--url", f"{home.url}/v1/wechat/{account_id}/callback",
            "--rate", str(plan.rate), "--seconds", str(plan.seconds),
            "--connections", str(CONNECTIONS),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _drained(home: Installation, since: float) -> float:
    """Seconds until no push waits."""
    waiting = "SELECT count(*) FROM geo.wechat_pushes WHERE state = 'waiting'"
    return _until(home, waiting, since)


def _told(home: Installation) -> float:
    """Seconds until member_api knows all."""
    return _until(home, "SELECT count(*) FROM geo.outbox", time.monotonic())


def _until(home: Installation, count: str, since: float) -> float:
    while ask(home.database_url, count):
        if time.monotonic() - since > _PATIENCE_S:
            raise SystemExit(f"still there: {count}")
        time.sleep(_POLL_S)
    return time.monotonic() - since


def _expected(plan: Plan) -> dict[str, int]:
    """How many items of the timeline the pushes of ``plan`` are."""
    kinds: Counter[str] = Counter()
    for document in documents(account_of(RECORD, ""), plan, time.time()):
        kind = document["MsgType"]
        kinds.update(TOLD_AS[document["Event"] if kind == "event" else kind])
    return dict(kinds)


def _report(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    load = result["load"]
    rows: Sequence[tuple[str, Any]] = (
        ("pushes, and requests with repeats", f"{load['messages']}, {load['requests']}"),
        ("answers", load["outcomes"]),
        ("acknowledged after, p50 / p99 / worst, ms", f"{load['p50_ms']} / {load['p99_ms']} / {load['worst_ms']}"),
        ("never acknowledged", load["unacknowledged"]),
        ("each handled once", result["once"]),
        ("in the timelines", result["counted"]),
        ("waiting at most", result["waiting_at_most"]),
        ("the oldest waiting, at most, s", result["oldest_at_most_s"]),
        ("all handled after the last push, s", result["handled_after_s"]),
        ("and told to member_api after that, s", result["told_after_s"]),
        ("processor time per push, us", result["spent_us"]),
        ("load average", result["load_average"]),
    )  # fmt: skip
    for name, value in rows:
        print(f"{name:<44}{value}")
    if not result["once"]:
        print("expected", result["expected"], "states", result["states"])


if __name__ == "__main__":
    main()

"""``./solomo demo``: the whole story, and the city it takes place in."""

import json
import math
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx

from cli.city import FIX_EVERY_S, FIXES, STORES, walk
from tests.cli.data.conftest import Run
from tests.conftest import Tokens

README = Path(__file__).parents[3] / "README.md"


async def test_the_demo_tells_the_whole_story_and_can_be_told_again(
    geo_url: str, member_url: str, solomo: Run
) -> None:
    words = ("demo", "--geo-url", geo_url, "--member-url", member_url, "--visitors", "3")
    told = await solomo(*words)
    assert told.code == 0, told.err
    for part in ("48 check-ins", "matched", "won", "invited", "is a member", "A clerk of", "curl"):
        assert part in told.out
    again = (await solomo("--json", *words)).document
    types = {item["type"] for item in again["timeline"]}
    assert {"check_in", "visit_entered", "coupon_granted", "signed_up", "coupon_redeemed"} <= types
    assert again["person"]["lifecycle"] == "member"
    assert again["visitors"]["new"] == 48
    assert again["visitors"]["coupons"] > 0


async def test_the_check_in_of_the_readme_is_answered_as_it_says(
    geo_url: str, member_url: str, solomo: Run, geo: httpx.AsyncClient, tokens: Tokens
) -> None:
    await solomo("demo", "--geo-url", geo_url, "--member-url", member_url, "--visitors", "1")
    readme = README.read_text()
    [body] = re.findall(r"-d '(\{.*?\}\})'\n", readme, re.DOTALL)
    [shown] = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    sent = re.sub(r"'\$\(cat .*?\)'", str(uuid4()), re.sub(r"'\$\(date .*?\)'", now, body))
    answer = await geo.post("/v1/check-ins", json=json.loads(sent), headers=tokens("server"))
    assert answer.status_code == 201, answer.text
    said, told = json.loads(shown), answer.json()
    assert said["matches"] == told["matches"]
    assert [c["offer_id"] for c in said["coupons"]] == [c["offer_id"] for c in told["coupons"]]
    assert [c["benefit"] for c in said["coupons"]] == [c["benefit"] for c in told["coupons"]]
    assert said.keys() == told.keys()


async def test_a_service_that_is_not_there_is_named(solomo: Run) -> None:
    ran = await solomo("demo", "--geo-url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "http://127.0.0.1:9 does not answer" in ran.err


def test_a_seed_decides_a_walk_that_stays_in_town_and_in_time() -> None:
    steps = walk(random.Random(7))
    assert steps == walk(random.Random(7)) != walk(random.Random(8))
    assert [step.seconds_ago for step in steps][:2] == [(FIXES - 1) * FIX_EVERY_S, 420]
    assert steps[-1].seconds_ago == 0
    for step in steps:
        north_m = (step.latitude - 40.6690) * 111_320
        east_m = (step.longitude + 74.0400) * 111_320 * math.cos(math.radians(40.6690))
        assert math.hypot(east_m, north_m) < 300


def test_stores_lie_so_far_apart_that_no_fix_is_in_two() -> None:
    pairs = [(a, b) for a in STORES for b in STORES if a is not b]
    assert min(math.dist((a.east_m, a.north_m), (b.east_m, b.north_m)) for a, b in pairs) > 180

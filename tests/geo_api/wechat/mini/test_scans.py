"""Coming by a code with a scene, against the stand-in."""

import asyncio
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt

from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import open_store
from tests.geo_api.wechat.mini.told import told
from tests.geo_api.wechat.stand_in import MINI, SERVICE, Rehearsal

pytestmark = pytest.mark.slow

SCENE = "s=s1&c=autumn"


@pytest.fixture
async def hung(rehearsal: Rehearsal) -> Rehearsal:
    """A poster hangs: a code with a scene is made for store s1."""
    await open_store(rehearsal.geo, rehearsal.app, rehearsal.server)
    made = await rehearsal.geo.put(
        f"/v1/wechat/{MINI}/scenes/s=s1&c=autumn",
        json={"store_id": "s1", "campaign": "autumn", "kol": "lin"},
        headers=rehearsal.server,
    )
    assert made.status_code == 201, made.text
    return rehearsal


async def scan(
    rehearsal: Rehearsal, headers: dict[str, str], scene: str = SCENE, scan_id: str | None = None
) -> httpx.Response:
    body = {"id": scan_id or str(uuid4()), "scene": scene}
    return await rehearsal.geo.post(f"/v1/wechat/{MINI}/scans", json=body, headers=headers)


def claims(rehearsal: Rehearsal, token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, rehearsal.tools.keys.public, algorithms=["Ed25519"]).claims)


async def test_a_scan_tells_where_it_leads_and_invites(hung: Rehearsal) -> None:
    opened = await hung.act("mei", "open", scene=SCENE)
    answer = await scan(hung, await hung.member("mei"), unquote(opened["query"]["scene"]))
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert said["store"] == {"store_id": "s1", "name": "Store", "brand": None, "address": None}
    assert (said["campaign"], said["kol"]) == ("autumn", "lin")
    invited = claims(hung, said["invitation"]["token"])
    assert {name: invited[name] for name in ("store_id", "campaign", "kol", "aud")} == {
        "store_id": "s1",
        "campaign": "autumn",
        "kol": "lin",
        "aud": "sign-up",
    }
    (scanned,) = await told(hung.tools.database, "social_scanned")
    assert scanned["subject"] == invited["sub"]
    assert scanned["store_id"] == "s1"
    assert scanned["data"] == {
        "channel": "wechat",
        "account_id": MINI,
        "scene": SCENE,
        "campaign": "autumn",
        "kol": "lin",
    }
    assert len(await told(hung.tools.database, "invitation_shown")) == 1


async def test_a_scan_sent_again_is_the_same_scan(hung: Rehearsal) -> None:
    mei, scan_id = await hung.member("mei"), str(uuid4())
    together = await asyncio.gather(*(scan(hung, mei, scan_id=scan_id) for _ in range(4)))
    again = await scan(hung, mei, scan_id=scan_id)
    assert sorted(answer.status_code for answer in together) == [200, 200, 200, 201]
    assert {answer.content for answer in together} == {again.content}
    assert len(await told(hung.tools.database, "social_scanned")) == 1


async def test_the_answer_that_is_kept_for_repeats_holds_no_token(hung: Rehearsal) -> None:
    answer = await scan(hung, await hung.member("mei"))
    token = answer.json()["invitation"]["token"]
    async with hung.tools.database.begin() as connection:
        rows = await connection.exec_driver_sql("SELECT k::text FROM geo.idempotency_keys AS k")
        assert token.rpartition(".")[2] not in str(rows.all())


async def test_an_id_belongs_to_one_scan(hung: Rehearsal) -> None:
    mei, scan_id = await hung.member("mei"), str(uuid4())
    await scan(hung, mei, scan_id=scan_id)
    other = await scan(hung, mei, "another", scan_id)
    by_ada = await scan(hung, await hung.member("ada"), "another", scan_id)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/key_reused")
    assert by_ada.status_code == 201


async def test_a_scene_that_is_not_kept_here_is_told_by_its_name(hung: Rehearsal) -> None:
    answer = await scan(hung, await hung.member("mei"), "from/elsewhere?x=1")
    said = answer.json()
    assert (said["store"], said["campaign"], said["kol"]) == (None, None, None)
    assert claims(hung, said["invitation"]["token"])["campaign"] == "check-in"
    (scanned,) = await told(hung.tools.database, "social_scanned")
    assert (scanned["store_id"], scanned["data"]["scene"]) == (None, "from/elsewhere?x=1")


async def test_a_member_is_not_invited(hung: Rehearsal) -> None:
    mei = await hung.member("mei")
    async with hung.tools.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE geo.subjects SET lifecycle = 'member'")
    assert (await scan(hung, mei)).json()["invitation"] is None
    assert await told(hung.tools.database, "invitation_shown") == []


async def test_what_was_scanned_before_stays_owed_to_whom_it_was(hung: Rehearsal) -> None:
    mei, scan_id = await hung.member("mei"), str(uuid4())
    before = await scan(hung, mei, scan_id=scan_id)
    address = f"/v1/wechat/{MINI}/scenes/s=s1&c=autumn"
    await hung.geo.put(address, json={"campaign": "winter"}, headers=hung.server)
    moved = await scan(hung, mei)
    await hung.geo.delete(address, headers=hung.server)
    assert (await scan(hung, mei, scan_id=scan_id)).content == before.content
    assert (moved.json()["campaign"], moved.json()["store"]) == ("winter", None)
    told_of = [
        fact["data"]["campaign"] for fact in await told(hung.tools.database, "social_scanned")
    ]
    assert told_of == ["autumn", "winter"]


@pytest.mark.parametrize("scene", ["", "x" * 33, "100%", "门店", "a b"])
async def test_what_no_code_can_carry_is_malformed(hung: Rehearsal, scene: str) -> None:
    refused = await scan(hung, await hung.member("mei"), scene)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/scene"


async def test_only_people_scan_and_only_in_mini_programs(hung: Rehearsal, tokens: Tokens) -> None:
    assert (await scan(hung, hung.server)).status_code == 403
    body = {"id": str(uuid4()), "scene": SCENE}
    mei = await hung.member("mei")
    official = await hung.geo.post(f"/v1/wechat/{SERVICE}/scans", json=body, headers=mei)
    unknown = await hung.geo.post("/v1/wechat/nobody/scans", json=body, headers=mei)
    assert (official.status_code, unknown.status_code) == (409, 404)

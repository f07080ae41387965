from typing import Any

import httpx
import pytest

from tests.wechat_sandbox.conftest import Api, Phone
from wechat_sandbox.clock import Clock
from wechat_sandbox.example import MINI, SERVICE
from wechat_sandbox.world import World

CREATE = "/cgi-bin/qrcode/create"
MINI_CODE = "/wxa/getwxacodeunlimit"
PNG = b"\x89PNG\r\n"


def poster(scene: object = "store-2", action: str = "QR_LIMIT_STR_SCENE") -> dict[str, Any]:
    key = "scene_str" if "STR" in action else "scene_id"
    return {"action_name": action, "action_info": {"scene": {key: scene}}}


async def test_a_permanent_code_is_the_same_again_and_has_an_image(
    api: Api, wechat: httpx.AsyncClient
) -> None:
    first, second = [await api.post(CREATE, **poster()) for _ in range(2)]
    assert first == second
    assert "expire_seconds" not in first
    image = await wechat.get("/cgi-bin/showqrcode", params={"ticket": first["ticket"]})
    assert image.content.startswith(PNG)
    assert (await wechat.get("/cgi-bin/showqrcode", params={"ticket": "no"})).status_code == 404


async def test_a_temporary_code_ends(api: Api, phone: Phone, clock: Clock) -> None:
    asked = {**poster("till-7", "QR_STR_SCENE"), "expire_seconds": 600}
    made = await api.post(CREATE, **asked)
    assert made["expire_seconds"] == 600
    await phone("mei", "scan", ticket=made["ticket"])
    clock.advance(600)
    assert await phone.refused("mei", "scan", ticket=made["ticket"]) == "This code has expired."


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (poster("x" * 65), 40053),
        (poster(""), 40053),
        (poster(100_001, "QR_LIMIT_SCENE"), 40053),
        (poster(0, "QR_SCENE"), 40053),
        (poster("a", "QR_OTHER_STR"), 40052),
        ({"action_name": "QR_STR_SCENE"}, 40053),
        ({**poster("a", "QR_STR_SCENE"), "expire_seconds": 2_592_001}, 40053),
    ],
)
async def test_a_scene_that_no_code_can_have_is_refused(
    api: Api, asked: dict[str, Any], expected: int
) -> None:
    assert (await api.post(CREATE, **asked))["errcode"] == expected


async def test_only_verified_service_accounts_make_codes(api: Api, world: World) -> None:
    assert (await api.post(CREATE, MINI, **poster()))["errcode"] == 48001
    world.put_account(SERVICE, verified=False)
    assert (await api.post(CREATE, **poster()))["errcode"] == 48001


async def test_a_mini_programs_code_is_an_image_of_the_width_asked_for(api: Api) -> None:
    answer = await api.raw(MINI_CODE, MINI, scene="s=store-1", page="pages/index/index", width=600)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(PNG)
    assert int.from_bytes(answer.content[16:20], "big") >= 600


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scene": "x" * 33}, 40169),
        ({"scene": ""}, 40169),
        ({"scene": "a%20b"}, 40169),
        ({"scene": "店"}, 40169),
        ({"page": "/pages/index/index"}, 41030),
        ({"page": "pages/none/index"}, 41030),
        ({"width": 279}, 40097),
        ({"env_version": "beta"}, 40097),
    ],
)
async def test_what_makes_no_mini_program_code_is_refused_in_json(
    api: Api, changes: dict[str, Any], expected: int
) -> None:
    answer = await api.raw(MINI_CODE, MINI, **{"scene": "a=1", **changes})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["errcode"] == expected


async def test_a_page_that_is_not_published_may_be_asked_for_unchecked(api: Api) -> None:
    asked = {"scene": "a=1", "page": "pages/none/index", "check_path": False}
    assert (await api.raw(MINI_CODE, MINI, **asked)).content.startswith(PNG)


async def test_five_thousand_codes_a_minute_are_the_most(
    api: Api, world: World, clock: Clock
) -> None:
    for _ in range(5_000):
        world.quotas.take(("wxacode", MINI), 5_000, 60)
    assert (await api.post(MINI_CODE, MINI, scene="a=1"))["errcode"] == 45009
    clock.advance(60)
    assert (await api.raw(MINI_CODE, MINI, scene="a=1")).content.startswith(PNG)
    assert (await api.post(MINI_CODE, SERVICE, scene="a=1"))["errcode"] == 48001

"""Codes with scenes, made at the stand-in."""

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from services.geo_api.wechat.scenes.repository import Origin, find_many
from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import open_store
from tests.geo_api.wechat.stand_in import MINI, SERVICE, Rehearsal

pytestmark = pytest.mark.slow

POSTER = {"store_id": "s1", "campaign": "autumn", "kol": "lin"}


@pytest.fixture
async def kept(rehearsal: Rehearsal) -> Rehearsal:
    await open_store(rehearsal.geo, rehearsal.app, rehearsal.server)
    return rehearsal


async def put(
    rehearsal: Rehearsal, account: str, scene: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    return await rehearsal.geo.put(
        f"/v1/wechat/{account}/scenes/{quote(scene, safe='')}",
        json=POSTER if body is None else body,
        headers=rehearsal.server,
    )


async def origins(rehearsal: Rehearsal, *keys: tuple[str, str]) -> dict[tuple[str, str], Origin]:
    async with rehearsal.tools.database.begin() as connection:
        return dict(await find_many(connection, keys))


async def test_a_scene_of_a_service_account_gets_a_code_that_stays(kept: Rehearsal) -> None:
    made = await put(kept, SERVICE, "store-s1")
    assert made.status_code == 201, made.text
    scene = made.json()
    assert scene["kind"] == "qr"
    assert (scene["store_id"], scene["campaign"], scene["kol"]) == ("s1", "autumn", "lin")
    assert scene["expires_at"] is None
    assert any(
        code.url == scene["url"] and code.scene == "store-s1"
        for code in kept.world.scenes._by_ticket.values()
    )


async def test_the_same_again_asks_wechat_for_nothing(kept: Rehearsal) -> None:
    first = (await put(kept, SERVICE, "store-s1")).json()
    again = await put(kept, SERVICE, "store-s1")
    moved = await put(kept, SERVICE, "store-s1", {"campaign": "winter"})
    assert (again.status_code, again.json()) == (200, first)
    assert moved.json() == first | {"store_id": None, "campaign": "winter", "kol": None}
    assert kept.calls("qrcode/create") == 1


async def test_a_code_that_expired_is_made_anew(kept: Rehearsal) -> None:
    first = (await put(kept, SERVICE, "screen", {"valid_for_s": 60})).json()
    same = (await put(kept, SERVICE, "screen", {"valid_for_s": 60})).json()
    async with kept.tools.database.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE geo.wechat_scenes SET expires_at = now() - interval '1 second'"
        )
    image = f"/v1/wechat/{SERVICE}/scenes/screen/image"
    assert (await kept.geo.get(image, headers=kept.server)).status_code == 409
    anew = (await put(kept, SERVICE, "screen", {"valid_for_s": 60})).json()
    assert (await kept.geo.get(image, headers=kept.server)).status_code == 200
    assert same["expires_at"] == first["expires_at"] < anew["expires_at"]
    assert kept.calls("qrcode/create") == 2


async def test_a_scene_of_a_mini_program_opens_its_page(kept: Rehearsal) -> None:
    made = await put(kept, MINI, "s=s1&c=autumn", POSTER | {"page": "pages/index/index"})
    image = await kept.geo.get(
        f"/v1/wechat/{MINI}/scenes/{quote('s=s1&c=autumn', safe='')}/image?width_px=600",
        headers=kept.server,
    )
    assert (made.status_code, made.json()["kind"]) == (201, "mini_code")
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    assert kept.calls("getwxacodeunlimit") == 2


async def test_the_code_of_a_service_account_is_drawn_for_print_and_screen(kept: Rehearsal) -> None:
    await put(kept, SERVICE, "store-s1")
    address = f"/v1/wechat/{SERVICE}/scenes/store-s1/image"
    png = await kept.geo.get(address, headers=kept.server)
    svg = await kept.geo.get(address, headers=kept.server | {"Accept": "image/svg+xml"})
    assert (png.headers["content-type"], png.content[:4]) == ("image/png", b"\x89PNG")
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert b"<svg" in svg.content


@pytest.mark.parametrize(
    ("account", "scene", "body", "pointer"),
    [
        (MINI, "x" * 33, {}, "path:scene"),
        (SERVICE, "x" * 65, {}, "path:scene"),
        (MINI, "100%", {}, "path:scene"),
        (MINI, "门店", {}, "path:scene"),
        (SERVICE, "...", {}, "path:scene"),
        (MINI, "s1", {"page": "/pages/index/index"}, "/page"),
        (MINI, "s1", {"page": "pages/not/published"}, "/page"),
        (MINI, "s1", {"valid_for_s": 600}, "/valid_for_s"),
        (SERVICE, "s1", {"page": "pages/index/index"}, "/page"),
        (SERVICE, "s1", {"valid_for_s": 2_592_001}, "/valid_for_s"),
    ],
)
async def test_what_no_code_can_carry_is_refused_with_its_reason(
    kept: Rehearsal, account: str, scene: str, body: dict[str, Any], pointer: str
) -> None:
    refused = await put(kept, account, scene, body)
    assert refused.status_code == 422, refused.text
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]
    assert await origins(kept, (account, scene)) == {}


async def test_an_account_without_such_codes_is_told_so(kept: Rehearsal) -> None:
    kept.world.put_account(SERVICE, verified=False)
    refused = await put(kept, SERVICE, "store-s1")
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/wechat-not-of-this-account"
    assert refused.json()["errcode"] == 48001
    notices = (await kept.geo.get("/v1/wechat/notices", headers=kept.server)).json()["items"]
    assert [notice["kind"] for notice in notices] == ["not_permitted"]


async def test_a_busy_wechat_leaves_nothing_behind_and_is_asked_again(kept: Rehearsal) -> None:
    await kept.fault(kind="error", errcode=-1, path="/cgi-bin/qrcode/create", left=1)
    refused = await put(kept, SERVICE, "store-s1")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert await origins(kept, (SERVICE, "store-s1")) == {}
    assert (await put(kept, SERVICE, "store-s1")).status_code == 201


async def test_a_store_that_is_not_there_or_closed_has_no_codes(kept: Rehearsal) -> None:
    unknown = await put(kept, SERVICE, "x", {"store_id": "nowhere"})
    await kept.geo.delete("/v1/stores/s1", headers=kept.server)
    closed = await put(kept, SERVICE, "x")
    assert (unknown.status_code, closed.status_code) == (404, 409)
    assert kept.calls("qrcode/create") == 0


async def test_scenes_are_listed_by_store_and_campaign_in_pages(kept: Rehearsal) -> None:
    for scene, body in {"b": POSTER, "a": POSTER, "c": {"campaign": "winter"}}.items():
        await put(kept, SERVICE, scene, body)
    address = f"/v1/wechat/{SERVICE}/scenes"
    first = (await kept.geo.get(f"{address}?limit=2", headers=kept.server)).json()
    cursor = first["next_cursor"]
    rest = (await kept.geo.get(f"{address}?cursor={cursor}", headers=kept.server)).json()
    of_store = (await kept.geo.get(f"{address}?store_id=s1", headers=kept.server)).json()
    of_campaign = (await kept.geo.get(f"{address}?campaign=winter", headers=kept.server)).json()
    assert [scene["scene"] for scene in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert [scene["scene"] for scene in of_store["items"]] == ["a", "b"]
    assert [scene["scene"] for scene in of_campaign["items"]] == ["c"]


async def test_a_deleted_scene_is_shown_no_more_and_its_poster_still_counts(
    kept: Rehearsal,
) -> None:
    await put(kept, SERVICE, "store-s1")
    address = f"/v1/wechat/{SERVICE}/scenes/store-s1"
    assert [
        (await kept.geo.delete(address, headers=kept.server)).status_code for _ in range(2)
    ] == [204, 204]
    for path in (address, f"{address}/image"):
        assert (await kept.geo.get(path, headers=kept.server)).status_code == 404
    listed = await kept.geo.get(f"/v1/wechat/{SERVICE}/scenes", headers=kept.server)
    assert listed.json()["items"] == []
    found = await origins(kept, (SERVICE, "store-s1"))
    assert found == {(SERVICE, "store-s1"): Origin("s1", "autumn", "lin")}
    again = await put(kept, SERVICE, "store-s1")
    assert (again.status_code, kept.calls("qrcode/create")) == (201, 1)


async def test_the_same_scene_put_many_times_at_once_is_one_row(kept: Rehearsal) -> None:
    answers = await asyncio.gather(*(put(kept, SERVICE, "store-s1") for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    async with kept.tools.database.begin() as connection:
        rows = await connection.exec_driver_sql("SELECT count(*) FROM geo.wechat_scenes")
        assert rows.scalar() == 1


async def test_marketers_keep_scenes_and_staff_do_not(kept: Rehearsal, tokens: Tokens) -> None:
    address = f"/v1/wechat/{SERVICE}/scenes/store-s1"
    by_marketer = await kept.geo.put(address, json=POSTER, headers=tokens("marketer", name="mo"))
    by_staff = await kept.geo.put(address, json=POSTER, headers=tokens("staff", store_id="s1"))
    assert (by_marketer.status_code, by_staff.status_code) == (201, 403)
    assert by_marketer.json()["created_by"] == "mo"

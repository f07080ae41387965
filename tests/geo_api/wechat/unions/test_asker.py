"""Followers of an official account become one person with the mini-program's users."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from services.geo_api.wechat.unions.asker import Asker
from shared.identity import Namespace, normalise, subject_id
from tests.geo_api.wechat.mini.told import told
from tests.geo_api.wechat.stand_in import SERVICE, Rehearsal

pytestmark = pytest.mark.slow

ASKED = "/cgi-bin/user/info/batchget"


async def follow(rehearsal: Rehearsal, names: Sequence[str]) -> None:
    """Let people follow the service account, and wait until that is handled."""
    callback = f"http://geo/v1/wechat/{SERVICE}/callback"
    rehearsal.world.put_account(SERVICE, callback_url=callback)
    for name in names:
        rehearsal.world.put_person(name)
        await rehearsal.act(name, "follow", SERVICE)
    async with asyncio.timeout(15):
        while len(await told(rehearsal.tools.database, "social_followed")) < len(names):
            await asyncio.sleep(0.02)


def openid_subject(rehearsal: Rehearsal, name: str) -> str:
    account = rehearsal.world.accounts[SERVICE]
    openid = rehearsal.world.fan(name, account).openid
    identity = normalise(Namespace.WECHAT_OPENID, account.app_id, openid)
    return str(subject_id(rehearsal.tools.keys.identity, identity))


async def joined(rehearsal: Rehearsal, count: int) -> list[dict[str, Any]]:
    """The joins told, once there are ``count``."""
    async with asyncio.timeout(15):
        while True:
            facts = await told(rehearsal.tools.database, "identities_joined")
            if len(facts) >= count:
                return facts
            await asyncio.sleep(0.02)


async def wanted(rehearsal: Rehearsal) -> int:
    async with rehearsal.tools.database.begin() as connection:
        rows = await connection.exec_driver_sql(
            "SELECT count(*) FROM geo.wechat_users WHERE follows AND union_known_at IS NULL"
        )
        return int(rows.scalar_one())


async def test_followers_are_asked_for_and_joined_with_their_unionids(rehearsal: Rehearsal) -> None:
    names = ["mei", "ada", "bo"]
    await follow(rehearsal, names)
    facts = await joined(rehearsal, 3)
    assert {fact["subject"] for fact in facts} == {openid_subject(rehearsal, n) for n in names}
    assert {fact["data"]["evidence"] for fact in facts} == {"wechat_unionid"}
    await asyncio.sleep(0)
    while await wanted(rehearsal):
        await asyncio.sleep(0.02)
    before = rehearsal.calls(ASKED)
    assert not await Asker(rehearsal.tools).turn()
    assert rehearsal.calls(ASKED) == before


async def test_the_mini_program_and_the_account_know_the_same_unionid(rehearsal: Rehearsal) -> None:
    await follow(rehearsal, ["mei"])
    await rehearsal.login("mei")
    facts = await joined(rehearsal, 2)
    assert len({fact["data"]["other"] for fact in facts}) == 1
    assert len({fact["subject"] for fact in facts}) == 2


async def test_somebody_who_is_gone_spoils_no_other(rehearsal: Rehearsal) -> None:
    await rehearsal.fault(kind="error", path=ASKED, errcode=-1, left=1)
    await follow(rehearsal, ["mei", "ada", "bo"])
    await asyncio.sleep(0.05)
    account = rehearsal.world.accounts[SERVICE]
    rehearsal.world.fan("ada", account).cancelled = True
    while await wanted(rehearsal):
        await Asker(rehearsal.tools).turn()
    facts = await joined(rehearsal, 1)
    ada = openid_subject(rehearsal, "ada")
    assert {fact["subject"] for fact in facts} - {ada} == {
        openid_subject(rehearsal, "mei"), openid_subject(rehearsal, "bo")
    }  # fmt: skip


async def test_an_account_that_may_not_ask_is_asked_for_once_and_noticed(
    rehearsal: Rehearsal, geo: httpx.AsyncClient
) -> None:
    rehearsal.world.put_account(SERVICE, verified=False)
    await follow(rehearsal, ["mei"])
    async with asyncio.timeout(15):
        while await wanted(rehearsal):
            await asyncio.sleep(0.02)
    assert rehearsal.calls(ASKED) == 1
    assert await told(rehearsal.tools.database, "identities_joined") == []
    notices = (await geo.get("/v1/wechat/notices", headers=rehearsal.server)).json()["items"]
    assert [notice["kind"] for notice in notices] == ["not_permitted"]


async def test_a_busy_wechat_is_asked_again_later(rehearsal: Rehearsal) -> None:
    await rehearsal.fault(kind="error", path=ASKED, errcode=-1, left=4)
    await follow(rehearsal, ["mei"])
    async with asyncio.timeout(15):
        while await wanted(rehearsal):
            await Asker(rehearsal.tools).turn()  # each as after the rest
            await asyncio.sleep(0.02)
    assert rehearsal.calls(ASKED) > 4
    assert len(await joined(rehearsal, 1)) == 1

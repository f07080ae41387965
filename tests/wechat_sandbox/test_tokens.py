from typing import Any

import httpx
import pytest

from wechat_sandbox.clock import Clock
from wechat_sandbox.example import SERVICE
from wechat_sandbox.world import World

ANY_CALL = "/cgi-bin/getcallbackip"


async def stable(
    wechat: httpx.AsyncClient, world: World, *, force: bool = False, **changes: Any
) -> dict[str, object]:
    account = world.accounts[SERVICE]
    asked = {"grant_type": "client_credential", "appid": account.app_id,
             "secret": account.app_secret, "force_refresh": force, **changes}  # fmt: skip
    answer = await wechat.post("/cgi-bin/stable_token", json=asked)
    assert answer.status_code == 200
    return dict(answer.json())


async def plain(wechat: httpx.AsyncClient, world: World) -> dict[str, object]:
    account = world.accounts[SERVICE]
    asked = {"grant_type": "client_credential", "appid": account.app_id,
             "secret": account.app_secret}  # fmt: skip
    return dict((await wechat.get("/cgi-bin/token", params=asked)).json())


async def errcode(wechat: httpx.AsyncClient, token: object) -> int:
    answer = await wechat.get(ANY_CALL, params={"access_token": str(token)})
    return int(answer.json().get("errcode", 0))


async def test_the_stable_token_repeats_itself_and_tells_how_long_it_still_lives(
    wechat: httpx.AsyncClient, world: World, clock: Clock
) -> None:
    first = await stable(wechat, world)
    clock.advance(1_000)
    second = await stable(wechat, world)
    assert second["access_token"] == first["access_token"]
    assert (first["expires_in"], second["expires_in"]) == (7_200, 6_200)


async def test_it_is_renewed_five_minutes_early_and_both_work_till_the_old_one_ends(
    wechat: httpx.AsyncClient, world: World, clock: Clock
) -> None:
    old = (await stable(wechat, world))["access_token"]
    clock.advance(6_899)
    assert (await stable(wechat, world))["access_token"] == old
    clock.advance(1)
    new = (await stable(wechat, world))["access_token"]
    assert new != old
    assert [await errcode(wechat, one) for one in (old, new)] == [0, 0]
    clock.advance(300)
    assert [await errcode(wechat, one) for one in (old, new)] == [42001, 0]


async def test_forcing_kills_the_present_token_but_not_twice_in_30_seconds(
    wechat: httpx.AsyncClient, world: World, clock: Clock
) -> None:
    old = (await stable(wechat, world))["access_token"]
    new = (await stable(wechat, world, force=True))["access_token"]
    assert [await errcode(wechat, one) for one in (old, new)] == [40001, 0]
    assert (await stable(wechat, world, force=True))["access_token"] == new
    clock.advance(30)
    assert (await stable(wechat, world, force=True))["access_token"] != new


async def test_it_may_be_forced_20_times_a_day(
    wechat: httpx.AsyncClient, world: World, clock: Clock
) -> None:
    for _ in range(20):
        assert "access_token" in await stable(wechat, world, force=True)
        clock.advance(30)
    assert (await stable(wechat, world, force=True))["errcode"] == 45009
    assert "access_token" in await stable(wechat, world)
    clock.advance(86_400)
    assert "access_token" in await stable(wechat, world, force=True)


async def test_each_plain_token_replaces_the_one_before_after_a_grace_of_five_minutes(
    wechat: httpx.AsyncClient, world: World, clock: Clock
) -> None:
    old = (await plain(wechat, world))["access_token"]
    new = (await plain(wechat, world))["access_token"]
    assert [await errcode(wechat, one) for one in (old, new)] == [0, 0]
    clock.advance(300)
    assert [await errcode(wechat, one) for one in (old, new)] == [42001, 0]


async def test_the_two_kinds_of_tokens_know_nothing_of_each_other(
    wechat: httpx.AsyncClient, world: World
) -> None:
    kept = (await plain(wechat, world))["access_token"]
    await stable(wechat, world)
    await stable(wechat, world, force=True)
    assert await errcode(wechat, kept) == 0


async def test_revoked_tokens_are_said_not_to_be_the_latest(
    wechat: httpx.AsyncClient, world: World
) -> None:
    tokens = [(await make(wechat, world))["access_token"] for make in (stable, plain)]
    revoked = await wechat.post(f"/sandbox/accounts/{SERVICE}/revoke-tokens")
    assert revoked.json() == {"revoked": 2}
    assert [await errcode(wechat, one) for one in tokens] == [40001, 40001]
    assert (await stable(wechat, world))["access_token"] not in tokens


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"appid": "wx0000000000000000"}, 40013),
        ({"appid": ""}, 41002),
        ({"secret": "0" * 32}, 40125),
        ({"secret": ""}, 41004),
        ({"grant_type": "authorization_code"}, 40002),
    ],
)
async def test_who_does_not_know_the_secret_gets_no_token(
    wechat: httpx.AsyncClient, world: World, changes: dict[str, Any], expected: int
) -> None:
    answer = await stable(wechat, world, **changes)
    assert answer["errcode"] == expected
    assert " rid: " in str(answer["errmsg"])


async def test_an_address_that_is_not_on_the_list_gets_no_token(
    wechat: httpx.AsyncClient, world: World
) -> None:
    world.put_account(SERVICE, allowed_ips=("203.0.113.7",))
    answer = await stable(wechat, world)
    assert answer["errcode"] == 40164
    assert "127.0.0.1" in str(answer["errmsg"])
    world.put_account(SERVICE, allowed_ips=("127.0.0.1",))
    assert "access_token" in await stable(wechat, world)


@pytest.mark.parametrize(("token", "expected"), [("", 41001), ("81_made_up", 40001)])
async def test_a_call_without_a_token_that_holds_is_refused(
    wechat: httpx.AsyncClient, token: str, expected: int
) -> None:
    assert await errcode(wechat, token) == expected


async def test_the_wrong_method_and_a_body_that_is_not_json_have_codes_of_their_own(
    wechat: httpx.AsyncClient,
) -> None:
    assert (await wechat.get("/cgi-bin/stable_token")).json()["errcode"] == 43002
    assert (await wechat.post("/cgi-bin/token")).json()["errcode"] == 43001
    assert (await wechat.post("/cgi-bin/stable_token", content=b"{")).json()["errcode"] == 47001

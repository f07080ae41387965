import asyncio

import pytest
from sqlalchemy import text

from services.geo_api.wechat.accounts.notices import list_notices
from shared.db import Database
from shared.sealing import StorageKey
from shared.wechat.answers import TokenApi, WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble
from tests.geo_api.wechat.accounts.conftest import Make, Watch
from tests.geo_api.wechat.factories import add_account, credentials
from tests.geo_api.wechat.token_server import TokenServer

pytestmark = pytest.mark.slow

STABLE, CLASSIC = "/cgi-bin/stable_token", "/cgi-bin/token"


async def test_many_tasks_of_several_stores_ask_wechat_once(
    make: Make, server: TokenServer
) -> None:
    server.delay_s = 0.2
    clients = [make() for _ in range(4)]

    tokens = await asyncio.gather(
        *(client.tokens.current(credentials()) for client in clients for _ in range(25))
    )

    assert set(tokens) == {server.token}
    assert server.asked[STABLE] == 1


async def test_a_token_is_renewed_five_minutes_before_its_end(
    make: Make, server: TokenServer, watch: Watch
) -> None:
    client = make()
    await client.tokens.current(credentials())
    watch.turn(seconds=7200 - 310)
    await client.tokens.current(credentials())
    assert server.asked[STABLE] == 1

    watch.turn(seconds=20)
    await client.tokens.current(credentials())
    assert server.asked[STABLE] == 2


async def test_while_another_process_renews_the_old_token_serves_without_waiting(
    make: Make, server: TokenServer, watch: Watch
) -> None:
    slow, other = make(), make()
    old = await slow.tokens.current(credentials())
    watch.turn(seconds=7200 - 100)
    server.revoke()
    server.gate.clear()

    renewing = asyncio.create_task(slow.tokens.current(credentials()))
    while server.asked[STABLE] < 2:
        await asyncio.sleep(0.01)
    assert await other.tokens.current(credentials()) == old
    assert not renewing.done()
    server.gate.set()

    assert await renewing == server.token != old
    assert server.asked[STABLE] == 2


async def test_a_token_that_lives_serves_while_wechat_gives_no_other(
    make: Make, server: TokenServer, watch: Watch
) -> None:
    client = make()
    old = await client.tokens.current(credentials())
    watch.turn(seconds=7200 - 100)
    server.refusal = {"errcode": -1, "errmsg": "system error"}

    assert await client.tokens.current(credentials()) == old

    watch.turn(seconds=200)
    with pytest.raises(WeChatRefused) as caught:
        await make().tokens.current(credentials())
    assert caught.value.trouble is Trouble.BUSY


async def test_a_token_of_a_short_life_is_not_fetched_for_each_call(
    make: Make, server: TokenServer, watch: Watch
) -> None:
    server.lifetime_s = 60
    client = make()
    for _ in range(5):
        await client.tokens.current(credentials())
    assert server.asked[STABLE] == 1
    watch.turn(seconds=31)
    await client.tokens.current(credentials())
    assert server.asked[STABLE] == 2


async def test_a_revoked_token_is_renewed_once_and_the_call_repeated_once(
    make: Make, server: TokenServer
) -> None:
    client = make()
    await client.callback_ips(credentials())
    server.revoke()

    assert await client.callback_ips(credentials()) == ("127.0.0.1",)
    assert server.asked["/cgi-bin/getcallbackip"] == 3
    assert server.asked[STABLE] == 2


async def test_a_token_that_was_replaced_meanwhile_is_taken_and_not_renewed(
    make: Make, server: TokenServer
) -> None:
    one, other = make(), make()
    used = await one.tokens.current(credentials())
    server.revoke()
    new = await one.tokens.renewed(credentials(), used)

    assert await other.tokens.renewed(credentials(), used) == new
    assert server.asked[STABLE] == 2


async def test_a_token_that_wechat_refuses_for_ever_costs_few_others_and_is_told(
    make: Make, server: TokenServer, database: Database
) -> None:
    server.refuses_all = True
    clients = [make(), make()]
    for client in clients * 10:
        with pytest.raises(WeChatRefused) as caught:
            await client.callback_ips(credentials())
        assert caught.value.trouble is Trouble.TOKEN

    assert server.asked["forced"] == 1
    assert server.asked[STABLE] <= 1 + 6 + 1 + 6
    async with database.begin() as connection:
        [notice] = await list_notices(connection, "tea", None, 10, with_settled=False)
    assert notice.kind == "token_contested"


async def test_a_new_token_is_demanded_at_most_twenty_times_a_day_and_half_a_minute_apart(
    make: Make, server: TokenServer, watch: Watch
) -> None:
    server.refuses_all = True
    client = make()
    for _ in range(60):
        with pytest.raises(WeChatRefused):
            await client.callback_ips(credentials())
        watch.turn(seconds=20)
    assert server.asked["forced"] == 20

    watch.turn(days=1)
    with pytest.raises(WeChatRefused):
        await client.callback_ips(credentials())
    assert server.asked["forced"] == 21


async def test_an_account_of_the_classic_way_asks_at_its_address(
    make: Make, server: TokenServer
) -> None:
    classic = credentials(token_api=TokenApi.CLASSIC)
    client = make()
    assert await client.callback_ips(classic) == ("127.0.0.1",)
    await client.tokens.checked(classic)

    assert (server.asked[CLASSIC], server.asked[STABLE]) == (1, 0)


async def test_wrong_credentials_are_asked_about_once_and_told_to_operators(
    make: Make, server: TokenServer, database: Database
) -> None:
    server.refusal = {"errcode": 40125, "errmsg": "invalid appsecret rid: 6925-1"}
    client = make()
    for _ in range(10):
        with pytest.raises(WeChatRefused) as caught:
            await client.callback_ips(credentials())
        assert caught.value.trouble is Trouble.BAD_ACCOUNT

    assert server.asked[STABLE] == 1
    async with database.begin() as connection:
        [notice] = await list_notices(connection, "tea", None, 10, with_settled=False)
    assert (notice.kind, notice.count) == ("credentials_refused", 1)

    server.refusal = None
    mended = credentials(app_secret="0" * 32)
    assert await client.callback_ips(mended) == ("127.0.0.1",)


async def test_a_fetch_in_vain_is_not_repeated_by_all_who_wait(
    make: Make, server: TokenServer
) -> None:
    server.status, server.refusal = 502, {}
    client = make()
    failures = await asyncio.gather(
        *(client.tokens.current(credentials()) for _ in range(30)), return_exceptions=True
    )

    assert all(isinstance(failure, WeChatUnreachable) for failure in failures)
    assert server.asked[STABLE] == 1


async def test_the_token_lies_encrypted_in_the_database(
    make: Make, server: TokenServer, database: Database
) -> None:
    await make().tokens.current(credentials())
    async with database.begin() as connection:
        row = (await connection.execute(text("SELECT * FROM geo.wechat_tokens"))).one()

    assert server.token.encode() not in row.access_token
    assert server.token not in str(row)


async def test_new_credentials_make_the_next_call_fetch_a_token(
    make: Make, server: TokenServer, database: Database, storage: StorageKey
) -> None:
    client = make()
    await client.callback_ips(credentials())
    await add_account(database, storage, name="Tea House at the Lake")
    await client.callback_ips(credentials())
    assert server.asked[STABLE] == 1

    await add_account(database, storage, token_api=TokenApi.CLASSIC)
    await client.callback_ips(credentials(token_api=TokenApi.CLASSIC))
    assert server.asked[CLASSIC] == 1

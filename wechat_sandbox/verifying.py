"""The check that WeChat's console makes when a callback is submitted."""

from typing import Any

import httpx

from shared.wechat.crypto import signature
from wechat_sandbox.accounts import Account
from wechat_sandbox.refusals import NotPossible
from wechat_sandbox.world import World

_TIMEOUT = httpx.Timeout(5.0, connect=3.0)
_OK = 200


async def verify_callback(
    world: World, account: Account, client: httpx.AsyncClient
) -> dict[str, Any]:
    """Whether the callback answers a signed GET with its ``echostr`` and nothing else.

    Raises NotPossible for an account without a callback.
    """
    if account.callback_url is None:
        raise NotPossible(f"{account.account_id} has no callback_url.")
    stamp, nonce = str(int(world.clock.stamp())), str(world.maker.next_number())
    echo = str(world.maker.next_number())
    query = {
        "signature": signature(account.token, stamp, nonce),
        "timestamp": stamp,
        "nonce": nonce,
        "echostr": echo,
    }
    try:
        answer = await client.get(account.callback_url, params=query, timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        return {"verified": False, "why": f"{type(error).__name__}: {error}"}
    if answer.status_code != _OK:
        return {"verified": False, "why": f"it answered status {answer.status_code}"}
    if answer.text != echo:
        return {"verified": False, "why": "it did not answer the echostr alone"}
    return {"verified": True, "why": None}

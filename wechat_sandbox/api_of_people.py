"""What an official account is told of people: whether they follow it, and their unionid."""

from typing import Any

from wechat_sandbox.accounts import Account
from wechat_sandbox.calls import Answer, ApiCall
from wechat_sandbox.people import Fan
from wechat_sandbox.refusals import Refused
from wechat_sandbox.world import World

_MOST = 100


async def describe(call: ApiCall) -> Answer:
    """The basic information of up to 100 people; of who does not follow, hardly any."""
    account, asked = call.account_by_token(), call.json()
    if not account.is_official or not account.verified:
        raise Refused(48001)
    wanted = asked.get("user_list")
    if not isinstance(wanted, list) or not 0 < len(wanted) <= _MOST:
        raise Refused(40003)
    told: list[dict[str, Any]] = []
    for one in wanted:
        openid = one.get("openid") if isinstance(one, dict) else None
        fan = call.world.by_openid(account, openid)
        shown: dict[str, Any] = {"subscribe": int(fan.follows), "openid": fan.openid}
        unionid = call.world.unionid(_name_of(call.world, account, fan), account)
        told.append({**shown, "unionid": unionid} if fan.follows and unionid else shown)
    return {"user_info_list": told}


def _name_of(world: World, account: Account, fan: Fan) -> str:
    people = world.people.items()
    return next(name for name, one in people if one.fans.get(account.account_id) is fan)

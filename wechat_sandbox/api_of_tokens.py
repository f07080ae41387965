"""``stable_token``, ``token``, ``jscode2session``, phone numbers and callback addresses."""

from typing import Any

from wechat_sandbox.calls import OK, Answer, ApiCall
from wechat_sandbox.codes import Purpose
from wechat_sandbox.quotas import MINUTE_S
from wechat_sandbox.refusals import Refused
from wechat_sandbox.tokens import Given

_LOGINS_A_MINUTE = 100
_CHINA = "86"


async def stable_token(call: ApiCall) -> Answer:
    asked = call.json()
    _require_grant(asked.get("grant_type"), "client_credential")
    account = call.account_by_secret(asked)
    call.require_allowed(account)
    force = asked.get("force_refresh") is True
    return _given(call.world.tokens.stable(account.account_id, force=force))


async def token(call: ApiCall) -> Answer:
    _require_grant(call.query.get("grant_type"), "client_credential")
    account = call.account_by_secret(call.query)
    call.require_allowed(account)
    return _given(call.world.tokens.plain(account.account_id))


async def login(call: ApiCall) -> Answer:
    """Each login makes a new session key, and the one before stops to count."""
    _require_grant(call.query.get("grant_type"), "authorization_code")
    account = call.account_by_secret(call.query)
    code, codes = call.query.get("js_code", ""), call.world.codes
    if not code:
        raise Refused(41008)
    name = codes.person_of(Purpose.LOGIN, account.account_id, code)
    fan = call.world.fan(name, account)
    call.world.quotas.take(("login", fan.openid), _LOGINS_A_MINUTE, MINUTE_S, 45011)
    if fan.blocked:
        raise Refused(40226)
    codes.spend(code)
    fan.session_key = call.world.maker.next_session_key()
    unionid = call.world.unionid(name, account)
    told = {"session_key": fan.session_key, "openid": fan.openid}
    return told if unionid is None else {**told, "unionid": unionid}


async def phone_number(call: ApiCall) -> Answer:
    """WeChat does not say how it answers a code of another person than ``openid``: 40029 here."""
    account, asked = call.account_by_token(), call.json()
    code, codes = str(asked.get("code") or ""), call.world.codes
    name = codes.person_of(Purpose.PHONE, account.account_id, code)
    openid = asked.get("openid")
    if openid is not None and openid != call.world.fan(name, account).openid:
        raise Refused(40029)
    codes.spend(code)
    phone = call.world.person(name).phone or ""
    return {**OK, "phone_info": _phone_info(phone, account.app_id, int(call.world.clock.stamp()))}


async def callback_ips(call: ApiCall) -> Answer:
    call.account_by_token()
    return {"ip_list": ["127.0.0.1", "::1"]}


def _phone_info(phone: str, app_id: str, at: int) -> dict[str, Any]:
    """``phoneNumber`` has its country code where that is not China's, and no plus sign."""
    digits = phone.removeprefix("+")
    if digits.startswith(_CHINA):
        code, pure = _CHINA, digits.removeprefix(_CHINA)
    else:
        code, pure = _country_code(digits), digits.removeprefix(_country_code(digits))
    return {
        "phoneNumber": pure if code == _CHINA else f"+{digits}",
        "purePhoneNumber": pure,
        "countryCode": code,
        "watermark": {"timestamp": at, "appid": app_id},
    }


def _country_code(digits: str) -> str:
    """North America, Hong Kong, Macau, Taiwan, or else two digits."""
    known = ("1", "852", "853", "886")
    return next((code for code in known if digits.startswith(code)), digits[:2])


def _given(token: Given) -> Answer:
    return {"access_token": token.access_token, "expires_in": token.expires_in}


def _require_grant(given: object, wanted: str) -> None:
    if given != wanted:
        raise Refused(40002)

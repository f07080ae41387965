"""Logging in to a mini-program by a code of ``wx.login``."""

from uuid import UUID

from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.accounts.troubles import (
    credentials_of,
    refusal_of,
    tell_operators,
)
from services.geo_api.wechat.mini.domain import (
    Blocked,
    identity_of,
    require_mini_program,
    union_of,
)
from services.geo_api.wechat.mini.joining import BY_UNIONID, Proof, introduce
from services.geo_api.wechat.mini.repository import keep_session_key
from services.geo_api.wechat.tools import WeChatTools
from services.geo_api.wechat.users.domain import SeenUser
from services.geo_api.wechat.users.repository import UserRows
from shared.direct import run_together
from shared.errors import FieldFault, Malformed
from shared.identity import subject_id
from shared.wechat.answers import Login, WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble

_ANEW = "Call wx.login again and send its new code."
_CODE_TROUBLES = {
    Trouble.USED_CODE: f"was used already, and counts once. {_ANEW}",
    Trouble.BAD_CODE: f"is none of this account's, or older than five minutes. {_ANEW}",
}


async def log_in(tools: WeChatTools, account: LiveAccount, code: str) -> UUID:
    """The subject of the openid that ``code`` stands for.

    Its identity, and the unionid where WeChat tells one, are told to member_api as one person's.
    WeChat is asked before a transaction begins; its session_key stays here.
    Raises Malformed for a code that does not hold, Blocked, WeChatAway and AccountNotInOrder.
    """
    require_mini_program(account)
    login = await _ask(tools, account, code)
    person = await _note(tools, account, login)
    tools.feed.wake()
    return person


async def _ask(tools: WeChatTools, account: LiveAccount, code: str) -> Login:
    try:
        return await tools.client.code_to_session(credentials_of(account), code)
    except WeChatUnreachable as failure:
        raise refusal_of(failure, _ANEW) from None
    except WeChatRefused as failure:
        if detail := _CODE_TROUBLES.get(failure.trouble):
            raise Malformed(FieldFault("/wechat/code", detail)) from None
        if failure.trouble is Trouble.UNKNOWN_USER:
            raise Blocked("WeChat blocks this person for now; only WeChat can lift it.") from None
        await tell_operators(tools, account.account_id, failure)
        raise refusal_of(failure, _ANEW) from None


async def _note(tools: WeChatTools, account: LiveAccount, login: Login) -> UUID:
    now, identity = tools.clock(), identity_of(account, login.openid)
    person = subject_id(tools.keys.identity, identity)
    proof = Proof(union_of(login.unionid), BY_UNIONID) if login.unionid else None
    async with tools.database.begin() as connection:
        await introduce(connection, tools, person, identity, proof, now)
        user = SeenUser(person, account.account_id, login.openid, now)
        await run_together(connection, UserRows(tools.keys.storage).seeing([user]))
        whose = person, account.account_id
        await keep_session_key(connection, tools.keys.storage, whose, login.session_key, now)
    return person

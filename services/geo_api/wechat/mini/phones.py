"""A phone number that somebody shares with a mini-program, proven by WeChat."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.geo_api.tables import IDEMPOTENCY
from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.accounts.troubles import (
    credentials_of,
    refusal_of,
    tell_operators,
)
from services.geo_api.wechat.mini.domain import NotLoggedIn, masked, require_mini_program
from services.geo_api.wechat.mini.joining import BY_PHONE, Proof, introduce
from services.geo_api.wechat.mini.repository import earlier_answer, openid_of
from services.geo_api.wechat.tools import WeChatTools
from shared.auth import Principal
from shared.errors import FieldFault, Malformed
from shared.idempotency import once
from shared.identity import Namespace, normalise
from shared.wechat.answers import WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble

_REMEMBERED = timedelta(hours=24)
_ANEW = "Let the person tap the button again and send its new code."
_CODE_TROUBLES = frozenset({Trouble.BAD_CODE, Trouble.USED_CODE, Trouble.UNKNOWN_USER})


@dataclass(frozen=True, slots=True)
class Shared:
    """A code from the button, sent by ``caller``, whose subject is ``person``."""

    account: LiveAccount
    code: str
    caller: Principal
    person: UUID

    @property
    def endpoint(self) -> str:
        return f"wechat_phone {self.account.account_id}"

    @property
    def key(self) -> str:
        """A code counts once, so it names the request; its hash is kept, not the code."""
        return hashlib.sha256(self.code.encode()).hexdigest()


async def share_phone(tools: WeChatTools, shared: Shared) -> dict[str, Any]:
    """Make the number an identity of the person's; sent again, the code gets the same answer.

    Nothing tells whether anybody was known by it. Raises NotLoggedIn, Malformed for a code that
    does not hold, WeChatAway and AccountNotInOrder.
    """
    require_mini_program(shared.account)
    openid = await _openid(tools, shared)
    if (earlier := await _earlier(tools, shared)) is not None:
        return earlier
    try:
        number = await _ask(tools, shared, openid)
    except Malformed:
        if (earlier := await _earlier(tools, shared)) is not None:
            return earlier  # the same request, sent twice at once, was answered meanwhile
        raise
    answer = await _note(tools, shared, number)
    tools.feed.wake()
    return answer


async def _openid(tools: WeChatTools, shared: Shared) -> str:
    account_id = shared.account.account_id
    async with tools.database.begin() as connection:
        openid = await openid_of(connection, tools.keys.storage, shared.person, account_id)
    if openid is None:
        raise NotLoggedIn(f"Log in to {account_id} first: POST /v1/sessions with a code.")
    return openid


async def _earlier(tools: WeChatTools, shared: Shared) -> dict[str, Any] | None:
    async with tools.database.begin() as connection:
        return await earlier_answer(
            connection, shared.caller.scope, shared.endpoint, shared.key, tools.clock()
        )


async def _ask(tools: WeChatTools, shared: Shared, openid: str) -> str:
    """The number in E.164; WeChat checks that the code is this person's."""
    account = shared.account
    try:
        return await tools.client.phone_number(credentials_of(account), shared.code, openid)
    except WeChatUnreachable as failure:
        raise refusal_of(failure, _ANEW) from None
    except WeChatRefused as failure:
        if failure.trouble in _CODE_TROUBLES:
            detail = f"was used already, is too old or another person's. {_ANEW}"
            raise Malformed(FieldFault("/code", detail)) from None
        await tell_operators(tools, account.account_id, failure)
        raise refusal_of(failure, _ANEW) from None


async def _note(tools: WeChatTools, shared: Shared, number: str) -> dict[str, Any]:
    now = tools.clock()
    phone = normalise(Namespace.PHONE, "", number)
    async with tools.database.transaction() as session:
        connection = await session.connection()

        async def act() -> tuple[int, dict[str, Any]]:
            await introduce(connection, tools, shared.person, None, Proof(phone, BY_PHONE), now)
            return 200, {"phone": masked(phone.value)}

        stored = await once(
            session,
            IDEMPOTENCY,
            scope=shared.caller.scope,
            endpoint=shared.endpoint,
            key=shared.key,
            request=shared.code.encode(),
            ttl=_REMEMBERED,
            now=now,
            act=act,
        )
    return stored.body

"""What the server asks of WeChat: tokens, logins, phone numbers, messages, codes.

One client serves all accounts of an installation. A call that WeChat refuses for its token is
tried once more with another one, and then no more.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from shared.clock import Clock, utc_now
from shared.wechat import reading
from shared.wechat.answers import (
    Credentials,
    FetchedToken,
    Login,
    MiniCode,
    QrCode,
    SubscribeMessage,
    TokenApi,
    TokenSource,
    WeChatRefused,
    WeChatUnreachable,
)
from shared.wechat.calling import TOTAL_S, Answer, Call, Caller
from shared.wechat.errcodes import Trouble
from shared.wechat.hosts import API_BASES, MP_BASE
from shared.wechat.quotas import USED_UP, Quotas
from shared.wechat.scenes import mini_scene, qr_action
from shared.wechat.tokens import Fetch, MemoryTokens


class WeChatClient:
    """``tokens`` makes the source of access tokens from the function that fetches one."""

    def __init__(
        self,
        bases: tuple[str, ...] = API_BASES,
        *,
        tokens: Callable[[Fetch], TokenSource] = MemoryTokens,
        mp_base: str = MP_BASE,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = utc_now,
        quotas: Quotas | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        """Raises ValueError for a base that is neither https nor this machine's own."""
        self._api = Caller(bases, transport=transport, clock=clock, total_s=total_s)
        self._mp = Caller((mp_base,), transport=transport, clock=clock, total_s=total_s)
        self._clock = clock
        self._quotas = quotas or Quotas()
        self.tokens = tokens(self.fetch_token)

    async def close(self) -> None:
        await self._api.close()
        await self._mp.close()

    @property
    def skew_s(self) -> float | None:
        """Seconds that this machine's clock is ahead of WeChat's; None before the first answer."""
        return self._api.skew_s

    async def fetch_token(self, credentials: Credentials, force: bool = False) -> FetchedToken:
        """A token by the account's own way; the classic one is always new."""
        if credentials.token_api is TokenApi.STABLE:
            return await self.fetch_stable_token(credentials, force)
        query = {
            "grant_type": "client_credential",
            "appid": credentials.app_id,
            "secret": credentials.app_secret,
        }
        return reading.token(await self._call(credentials, Call("/cgi-bin/token", query)))

    async def fetch_stable_token(
        self, credentials: Credentials, force: bool = False
    ) -> FetchedToken:
        """The account's token, the same for all who ask; ``force`` ends it and gives another.

        WeChat lets a new one be demanded 20 times a day, 30 s apart.
        """
        body = {
            "grant_type": "client_credential",
            "appid": credentials.app_id,
            "secret": credentials.app_secret,
            "force_refresh": force,
        }
        call = Call("/cgi-bin/stable_token", body=body, may_repeat=not force)
        return reading.token(await self._call(credentials, call))

    async def code_to_session(self, credentials: Credentials, code: str) -> Login:
        """Who logged in to a mini-program; the code counts once."""
        query = {
            "appid": credentials.app_id,
            "secret": credentials.app_secret,
            "js_code": code,
            "grant_type": "authorization_code",
        }
        return reading.login(await self._call(credentials, Call("/sns/jscode2session", query)))

    async def phone_number(
        self, credentials: Credentials, code: str, openid: str | None = None
    ) -> str:
        """The number (E.164) that a person gave; with ``openid`` WeChat checks whose code it is."""
        body = {"code": code} | ({"openid": openid} if openid else {})
        call = Call("/wxa/business/getuserphonenumber", body=body)
        return reading.phone_number(await self._with_token(credentials, call), credentials.app_id)

    async def unionids(
        self, credentials: Credentials, openids: Sequence[str]
    ) -> dict[str, str | None]:
        """The unionids of followers of an official account, at most 100 at once, by openid.

        None where the account is bound to none of WeChat's open platform; who is no follower any
        more is left out.
        """
        body = {"user_list": [{"openid": openid} for openid in openids]}
        call = Call("/cgi-bin/user/info/batchget", body=body, may_repeat=True)
        return reading.unionids(await self._with_token(credentials, call))

    async def send_subscribe_message(
        self, credentials: Credentials, message: SubscribeMessage
    ) -> str | None:
        """Send it, and give WeChat's id of it where it tells one.

        Sends to one person must come one after the other (43108).
        """
        path = "bizsend" if message.from_official_account else "send"
        body: dict[str, Any] = {
            "touser": message.openid,
            "template_id": message.template_id,
            "data": {key: {"value": value} for key, value in message.data.items()},
        }
        if message.page:
            body["page"] = message.page
        if not message.from_official_account:
            body |= {"miniprogram_state": message.state, "lang": "zh_CN"}
        call = Call(f"/cgi-bin/message/subscribe/{path}", body=body)
        return reading.message_id(await self._with_token(credentials, call))

    async def send_custom_text(self, credentials: Credentials, openid: str, text: str) -> None:
        """Write to a person in whose window there is room."""
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        await self._with_token(credentials, Call("/cgi-bin/message/custom/send", body=body))

    async def make_qr_code(
        self, credentials: Credentials, scene: str, expires_in: timedelta | None = None
    ) -> QrCode:
        """A parametric code of an official account; without ``expires_in`` it stays for good.

        At most 30 days and 1 to 64 characters, else ValueError; 100,000 of an account may stay.
        """
        body = qr_action(scene, expires_in)
        call = Call("/cgi-bin/qrcode/create", body=body, may_repeat=expires_in is not None)
        return reading.qr_code(await self._with_token(credentials, call), self._clock())

    async def qr_code_image(self, ticket: str) -> bytes:
        """The picture of a parametric code, as WeChat draws it; whoever has the ticket may."""
        call = Call("/cgi-bin/showqrcode", {"ticket": ticket}, may_repeat=True)
        return reading.image(await self._mp.call(call))

    async def make_mini_code(self, credentials: Credentials, code: MiniCode) -> bytes:
        """The picture of a mini-program code (PNG or JPEG).

        Raises ValueError for a scene that is not 1 to 32 of the characters WeChat takes.
        """
        body: dict[str, Any] = {
            "scene": mini_scene(code.scene),
            "width": code.width_px,
            "check_path": code.check_page,
            "env_version": code.version,
        }
        if code.page:
            body["page"] = code.page.removeprefix("/")
        call = Call("/wxa/getwxacodeunlimit", body=body, may_repeat=True)
        return reading.image(await self._with_token(credentials, call))

    async def callback_ips(self, credentials: Credentials) -> tuple[str, ...]:
        """The addresses that pushes come from."""
        call = Call("/cgi-bin/getcallbackip", may_repeat=True)
        return reading.addresses(await self._with_token(credentials, call))

    async def _with_token(self, credentials: Credentials, call: Call) -> Answer:
        """Once more with another token where WeChat refuses the first, then stop."""
        token = await self.tokens.current(credentials)
        try:
            return await self._call(credentials, _bearing(call, token))
        except WeChatRefused as refusal:
            if refusal.trouble is not Trouble.TOKEN:
                raise
        try:
            token = await self.tokens.renewed(credentials, token)
        except WeChatUnreachable as failure:  # the call itself was refused, whatever became of this
            raise WeChatUnreachable(failure.reason, maybe_done=False) from None
        return await self._call(credentials, _bearing(call, token))

    async def _call(self, credentials: Credentials, call: Call) -> Answer:
        self._quotas.take(call.path, credentials.app_id)
        try:
            return await self._api.call(call)
        except WeChatRefused as refusal:
            if refusal.errcode == USED_UP:
                self._quotas.rest(call.path, credentials.app_id)
            raise


def _bearing(call: Call, token: str) -> Call:
    return replace(call, query={**call.query, "access_token": token})

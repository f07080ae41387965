"""geo_api connected to WeChat's stand-in within the process, and its people's phones."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from services.geo_api.wechat.tools import WeChatTools
from tests.conftest import Switchboard
from wechat_sandbox.accounts import Account
from wechat_sandbox.answering import ConnectionCut
from wechat_sandbox.example import MINI, SERVICE
from wechat_sandbox.world import World

HOSTS = ("api.weixin.qq.com", "api2.weixin.qq.com", "mp.weixin.qq.com")


class CuttingSwitchboard(Switchboard):
    """What the stand-in cuts is cut for the client, too."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionCut as cut:
            raise httpx.RemoteProtocolError("the connection was cut", request=request) from cut


def body_of(account: Account, **said: Any) -> dict[str, Any]:
    """An account of the stand-in as ``PUT /v1/wechat/accounts/{account_id}`` takes it."""
    body = {
        "kind": account.kind.value,
        "name": account.account_id,
        "app_id": account.app_id,
        "original_id": account.original_id,
        "format": account.format.value,
        "mode": account.mode.value,
        "token": account.token,
        "aes_key": account.aes_key,
        "app_secret": account.app_secret,
        "consent_version": "2026-11",
    }
    return body | said


@dataclass
class Rehearsal:
    """The stand-in as a test directs it, and geo_api that takes it for WeChat."""

    world: World
    wechat: httpx.AsyncClient
    geo: httpx.AsyncClient
    app: FastAPI
    server: dict[str, str]

    @property
    def tools(self) -> WeChatTools:
        tools: WeChatTools = self.app.state.wechat
        return tools

    async def connect(self, account_id: str, **said: Any) -> None:
        """Put an account of the stand-in to geo_api, and wait until the process knows it."""
        body = body_of(self.world.accounts[account_id], **said)
        answer = await self.geo.put(
            f"/v1/wechat/accounts/{account_id}", json=body, headers=self.server
        )
        assert answer.status_code in {200, 201}, answer.text
        version = answer.json()["version"]
        async with asyncio.timeout(5):
            while self._version(account_id) != version:
                await asyncio.sleep(0.005)

    def _version(self, account_id: str) -> int | None:
        account = self.tools.accounts.current.by_id.get(account_id)
        return None if account is None else account.version

    async def act(self, name: str, act: str, account: str = MINI, **fields: Any) -> Any:
        body = {"act": act, "account": account, **fields}
        answer = await self.wechat.post(f"/sandbox/people/{name}/acts", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fault(self, **said: Any) -> None:
        answer = await self.wechat.post("/sandbox/faults", json=said)
        assert answer.status_code in {200, 201}, answer.text

    async def login(self, name: str, account: str = MINI) -> httpx.Response:
        code = (await self.act(name, "open", account))["code"]
        return await self.log_in_with(code, account)

    async def log_in_with(self, code: str, account: str = MINI) -> httpx.Response:
        body = {"wechat": {"account_id": account, "code": code}}
        return await self.geo.post("/v1/sessions", json=body)

    async def member(self, name: str, account: str = MINI) -> dict[str, str]:
        """The headers of a person's own token."""
        answer = await self.login(name, account)
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    def calls(self, path: str) -> int:
        return sum(call.path.endswith(path) for call in self.world.calls)


__all__ = ["HOSTS", "MINI", "SERVICE", "CuttingSwitchboard", "Rehearsal", "body_of"]

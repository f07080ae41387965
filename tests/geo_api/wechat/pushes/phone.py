"""Somebody at an account, and WeChat that pushes what they do."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI

from services.geo_api.wechat.accounts.domain import AccountKind
from shared.identity import Namespace, normalise, subject_id
from shared.wechat.callback import CallbackAccount, Format, Mode, seal_push
from tests.conftest import DatabaseUrls
from tests.geo_api.wechat.factories import AES_KEY, APP_ID, TOKEN, add_account

_numbers = itertools.count(1)
OFFICIAL = "gh_51a2b3c4d5e6"
PLATFORM = "oWeChatItself"


def unix(moment: datetime) -> int:
    return int(moment.timestamp())


@dataclass(frozen=True)
class WeChat:
    """Pushes to one account of a running geo_api, and looks at what came of it."""

    geo: httpx.AsyncClient
    app: FastAPI
    urls: DatabaseUrls
    account_id: str = "tea"
    callback: CallbackAccount = field(
        default_factory=lambda: CallbackAccount(APP_ID, TOKEN, AES_KEY, Mode.SECURE, Format.XML)
    )

    @property
    def path(self) -> str:
        return f"/v1/wechat/{self.account_id}/callback"

    async def connect(self, **said: Any) -> "WeChat":
        """Put the account, and wait until the process knows it."""
        state = self.app.state
        fields = {"mode": self.callback.mode, "format": self.callback.format} | said
        account = await add_account(state.database, state.keys.storage, self.account_id, **fields)
        async with asyncio.timeout(5):
            while True:
                live = state.wechat.accounts.current.by_id.get(self.account_id)
                if live is not None and live.version == account.version:
                    return self
                await asyncio.sleep(0.01)

    async def deliver(
        self, document: Mapping[str, Any], *, nonce: str | None = None, at: datetime | None = None
    ) -> httpx.Response:
        query, body = seal_push(
            self.callback,
            document,
            timestamp=unix(at or datetime.now(UTC)),
            nonce=nonce or f"n{next(_numbers)}",
        )
        return await self.send(query, body)

    async def send(self, query: Mapping[str, str], body: bytes) -> httpx.Response:
        kind = "text/xml" if self.callback.format is Format.XML else "application/json"
        headers = {"Content-Type": kind}
        return await self.geo.post(self.path, params=query, content=body, headers=headers)

    async def push(self, *documents: Mapping[str, Any]) -> None:
        """Deliver, each acknowledged, and wait until all are handled."""
        for document in documents:
            answer = await self.deliver(document)
            assert (answer.status_code, answer.text) == (200, "success"), answer.text
        await self.settled()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep pushes within, and have them handled after it only."""
        worker = self.app.state.pushes.on_kept.__self__
        await worker.stop()
        try:
            yield
        finally:
            worker.start()
        await self.settled()

    async def settled(self) -> None:
        async with asyncio.timeout(20):
            while await self.ask("SELECT count(*) FROM geo.wechat_pushes WHERE state = 'waiting'"):
                await asyncio.sleep(0.01)

    def subject(self, openid: str) -> UUID:
        key: bytes = self.app.state.keys.identity
        return subject_id(key, normalise(Namespace.WECHAT_OPENID, APP_ID, openid))

    async def ask(self, query: str, *arguments: Any) -> Any:
        rows = await self.rows(query, *arguments)
        return rows[0][0] if rows else None

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.urls.superuser.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def facts(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What waits to be told to member_api, which is not there."""

        rows = await self.rows(
            "SELECT payload FROM geo.outbox WHERE $1::text IS NULL OR type = $1 ORDER BY id", kind
        )
        return [json.loads(payload) for (payload,) in rows]


@dataclass(frozen=True)
class Phone:
    """Words what somebody does as WeChat pushes it."""

    openid: str = "oSLM_user_0001"
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def _head(self, kind: str, ago_s: float) -> dict[str, Any]:
        return {
            "ToUserName": OFFICIAL,
            "FromUserName": self.openid,
            "CreateTime": unix(self.now - timedelta(seconds=ago_s)),
            "MsgType": kind,
        }

    def says(self, text: str = "hello", *, ago_s: float = 0) -> dict[str, Any]:
        number = 24_000_000_000_000_000 + next(_numbers)
        return self._head("text", ago_s) | {"Content": text, "MsgId": number}

    def sends_place(self, lat: float, lon: float, *, ago_s: float = 0) -> dict[str, Any]:
        number = 24_000_000_000_000_000 + next(_numbers)
        place = {"Location_X": lat, "Location_Y": lon, "Scale": 16, "Label": "People's Square"}
        return self._head("location", ago_s) | place | {"MsgId": number}

    def event(self, name: str, *, ago_s: float = 0, **fields: Any) -> dict[str, Any]:
        return self._head("event", ago_s) | {"Event": name} | fields

    def reports(
        self, lat: float, lon: float, precision: Any = 10, *, ago_s: float = 0
    ) -> dict[str, Any]:
        place = {"Latitude": lat, "Longitude": lon, "Precision": precision}
        return self.event("LOCATION", ago_s=ago_s, **place)

    def selects(self, lat: float, lon: float, *, ago_s: float = 0) -> dict[str, Any]:
        place = {"Location_X": str(lat), "Location_Y": str(lon), "Scale": "16", "Label": "x"}
        info = {**place, "Poiname": ""}
        return self.event("location_select", ago_s=ago_s, EventKey="PICK", SendLocationInfo=info)

    def follows(self, scene: str | None = None, *, ago_s: float = 0) -> dict[str, Any]:
        key = "" if scene is None else f"qrscene_{scene}"
        return self.event("subscribe", ago_s=ago_s, EventKey=key)

    def unfollows(self, *, ago_s: float = 0) -> dict[str, Any]:
        return self.event("unsubscribe", ago_s=ago_s, EventKey="")

    def scans(self, scene: str, *, ago_s: float = 0) -> dict[str, Any]:
        return self.event("SCAN", ago_s=ago_s, EventKey=scene, Ticket="gQH_t")

    def answers(self, *, ago_s: float = 0, **templates: str) -> dict[str, Any]:
        items = [
            {"TemplateId": name, "SubscribeStatusString": status, "PopupScene": 0}
            for name, status in templates.items()
        ]
        wrapper = {"List": items}
        return self.event("subscribe_msg_popup_event", ago_s=ago_s, SubscribeMsgPopupEvent=wrapper)

    def refuses(self, template: str, *, ago_s: float = 0) -> dict[str, Any]:
        wrapper = {"List": [{"TemplateId": template, "SubscribeStatusString": "reject"}]}
        name = "subscribe_msg_change_event"
        return self.event(name, ago_s=ago_s, SubscribeMsgChangeEvent=wrapper)

    def privacy(self, name: str, *, ago_s: float = 0, **fields: Any) -> dict[str, Any]:
        who = {"OpenID": self.openid, "AppID": APP_ID}
        return self.event(name, ago_s=ago_s, **who | fields) | {"FromUserName": PLATFORM}

    def revokes(self, *numbers: str, ago_s: float = 0) -> dict[str, Any]:
        name = "user_authorization_revoke"
        return self.privacy(name, ago_s=ago_s, RevokeInfo=",".join(numbers))


MINI = AccountKind.MINI_PROGRAM

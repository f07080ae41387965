"""A process of its own that sends what is due, and hangs as soon as WeChat would be asked.

Arguments: the database, geo_api's folder of keys. It prints ``asking`` when it hangs.
"""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

import httpx

from services.geo_api.invitations.service import Inviter
from services.geo_api.settings import GeoSettings
from services.geo_api.tables import FEED
from services.geo_api.wechat.accounts.live import LiveAccounts
from services.geo_api.wechat.accounts.tokens import TokenStore
from services.geo_api.wechat.sending.sender import Sender
from services.geo_api.wechat.tools import WeChatTools
from shared.auth import SwiftSigner
from shared.clock import utc_now
from shared.db import Database
from shared.feed.delivery import Deliverer
from shared.keys import load_geo_keys
from shared.wechat.client import WeChatClient
from shared.wechat.probing import Probe


class Hanging(httpx.AsyncBaseTransport):
    """Gives tokens, and takes messages for ever."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("token"):
            body = json.dumps({"access_token": "a-token-of-nobody", "expires_in": 7200})
            return httpx.Response(200, content=body)
        sys.stdout.write("asking\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


async def run(url: str, folder: Path) -> None:
    settings = GeoSettings(geo_database_url=url, keys_dir=folder)
    keys, database = load_geo_keys(folder), Database.connect(url)
    accounts = LiveAccounts(url, keys.storage)
    await accounts.start()
    transport = Hanging()
    tokens = partial(TokenStore, database, keys.storage, utc_now)
    tools = WeChatTools(
        settings=settings,
        database=database,
        keys=keys,
        clock=utc_now,
        feed=Deliverer(database, FEED, url="http://member", token=lambda: ""),
        feed_tables=FEED,
        accounts=accounts,
        client=WeChatClient(tokens=tokens, transport=transport, total_s=3600),
        inviter=Inviter(SwiftSigner(keys.signing), settings.join_url, settings.campaign),
        probe=Probe(transport),
    )
    Sender(tools).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))

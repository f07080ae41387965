"""A process of its own that asks for the token in many tasks, as a worker does.

Arguments: the database, the folder of keys, WeChat's address, ``current`` or ``call``, how many
tasks. It waits for a line on standard input, and then prints what its tasks got, as JSON in its last line.
"""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

from services.geo_api.wechat.accounts.tokens import TokenStore
from shared.clock import utc_now
from shared.db import Database
from shared.wechat.client import WeChatClient
from tests.geo_api.wechat.factories import credentials, storage_of


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def read(url: str, keys: str, base: str, what: str, tasks: int) -> list[str]:
    database = Database.connect(url, pool_size=4)
    store = partial(TokenStore, database, storage_of(Path(keys)), utc_now)
    client = WeChatClient((base,), tokens=store, total_s=30)
    tell("ready")
    sys.stdin.readline()

    async def one() -> str:
        if what == "current":
            return await client.tokens.current(credentials())
        return ",".join(await client.callback_ips(credentials()))

    try:
        return await asyncio.gather(*(one() for _ in range(tasks)))
    finally:
        await client.close()
        await database.close()


if __name__ == "__main__":
    url, keys, base, what, tasks = sys.argv[1:]
    tell(json.dumps(asyncio.run(read(url, keys, base, what, int(tasks)))))

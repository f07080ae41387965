"""A deliverer as a process of its own: ``python -m tests.shared.feed.deliverer DATABASE_URL URL LEASE_S``.

Prints its holder id, then delivers until SIGTERM.
"""

import asyncio
import signal
import sys

from shared.db import Database, schema_metadata
from shared.feed.delivery import Deliverer, DeliveryOptions
from shared.feed.stream import Pace
from shared.feed.tables import feed_tables

GEO = schema_metadata("geo")
GEO_FEED = feed_tables(GEO)


async def main(database_url: str, url: str, lease_s: str) -> None:
    database = Database.connect(database_url)
    options = DeliveryOptions(lease_s=float(lease_s), pace=Pace(batch=100))
    deliverer = Deliverer(database, GEO_FEED, url=url, token=lambda: "test", options=options)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await deliverer.start()
    print(deliverer.holder, flush=True)  # noqa: T201 - how the test learns who this is
    await stop.wait()
    await deliverer.stop()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

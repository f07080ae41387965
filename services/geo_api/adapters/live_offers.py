"""The activated offers in memory, following the database."""

from services.geo_api.offers.domain import OfferBook
from services.geo_api.offers.repository.offers import BOOK, BOOK_VERSION, CHANNEL, read_active
from shared.clock import Clock, utc_now
from shared.following import POLL_S, Connection, Following


class LiveOffers(Following[OfferBook]):
    """``current`` holds what is active, without what has ended by ``clock``."""

    what = "offers"
    version_query = BOOK_VERSION
    channel = CHANNEL

    def __init__(self, url: str, *, poll_s: float = POLL_S, clock: Clock = utc_now) -> None:
        super().__init__(url, poll_s=poll_s)
        self._clock = clock

    async def read(self, connection: Connection, version: int) -> OfferBook:
        rows = await connection.fetch(BOOK, self._clock())
        return OfferBook(version, tuple(read_active(row) for row in rows))

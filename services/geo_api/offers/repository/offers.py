"""Queries of the offers themselves, their versions, and the version of their book."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.domain import ActiveOffer
from services.geo_api.offers.lifecycle import OfferState
from services.geo_api.offers.records import Offer, OfferContent

CHANNEL = "solomo_offers"
"""Where a change of the book is announced; polling finds it too."""

_COLUMNS = """o.offer_id, o.version, o.state, v.title, v.starts_at, v.ends_at,
    CAST(v.terms AS text) AS terms, c.used, o.created_at, o.updated_at"""
_TABLES = """geo.offers AS o
    JOIN geo.offer_versions AS v USING (offer_id, version)
    JOIN geo.offer_counters AS c ON c.offer_id = o.offer_id AND c.scope = 'total'"""

_READ = text(f"SELECT {_COLUMNS} FROM {_TABLES} WHERE o.offer_id = :offer_id")

# NO KEY UPDATE, for a coupon that is being granted holds its offer's key: a stronger lock here
# and the counter's lock there would wait for each other.
_LOCK = text("SELECT version FROM geo.offers WHERE offer_id = :offer_id FOR NO KEY UPDATE")

_CLAIM = text("""
    INSERT INTO geo.offers (offer_id, version, state, created_at, updated_at)
    VALUES (:offer_id, 1, 'draft', :now, :now) ON CONFLICT (offer_id) DO NOTHING
    RETURNING version
""")

_OPEN_COUNTER = text("""
    INSERT INTO geo.offer_counters (offer_id, scope, used, cap, taken)
    VALUES (:offer_id, 'total', 0, :cap, 0)
""")

_ADD_VERSION = text("""
    INSERT INTO geo.offer_versions
        (offer_id, version, title, starts_at, ends_at, terms, frozen_at, created_at, created_by)
    VALUES (:offer_id, :version, :title, :starts_at, :ends_at, CAST(:terms AS jsonb),
        :frozen_at, :now, :by)
""")

_ADVANCE = text("""
    UPDATE geo.offers SET version = :version, state = :state, updated_at = :now
    WHERE offer_id = :offer_id
""")

_FREEZE = text("""
    UPDATE geo.offer_versions SET frozen_at = COALESCE(frozen_at, :now)
    WHERE offer_id = :offer_id AND version = :version
""")

# Guarded as the taking of units is: a cap never comes to lie below what was granted meanwhile.
_SET_COUNTER = text("""
    UPDATE geo.offer_counters SET cap = :cap, granting_version = :granting_version
    WHERE offer_id = :offer_id AND scope = 'total'
        AND (CAST(:cap AS bigint) IS NULL OR used <= :cap)
    RETURNING used
""")

_LIST = text(f"""
    SELECT {_COLUMNS} FROM {_TABLES}
    WHERE o.offer_id > :after AND (CAST(:state AS text) IS NULL OR :state = CASE
        WHEN o.state IN ('draft', 'ended') THEN o.state
        WHEN v.ends_at <= :now THEN 'ended'
        WHEN o.state = 'active' AND v.starts_at > :now THEN 'scheduled'
        ELSE o.state END)
    ORDER BY o.offer_id
    LIMIT :most
""")

_TURN_PAGE = text("""
    INSERT INTO geo.offer_book_version AS b (id, version) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET version = b.version + 1
    RETURNING version
""")
_ANNOUNCE = text(f"SELECT pg_notify('{CHANNEL}', CAST(CAST(:version AS bigint) AS text))")

BOOK_VERSION = "SELECT COALESCE(max(version), 0) FROM geo.offer_book_version"
BOOK = f"""
    SELECT {_COLUMNS} FROM {_TABLES}
    WHERE o.state = 'active' AND v.ends_at > $1 ORDER BY o.offer_id COLLATE "C"
"""

_STORES = text("""
    SELECT CAST(terms -> 'stores' AS text) FROM geo.offer_versions
    WHERE offer_id = :offer_id AND version = :version
""")


async def find(connection: AsyncConnection, offer_id: str) -> Offer | None:
    row = (await connection.execute(_READ, {"offer_id": offer_id})).mappings().first()
    return None if row is None else read_offer(row)


async def lock(connection: AsyncConnection, offer_id: str) -> Offer | None:
    """The offer, kept from other changes until the end of the transaction."""
    await connection.execute(_LOCK, {"offer_id": offer_id})
    return await find(connection, offer_id)


async def create(
    connection: AsyncConnection, offer_id: str, content: OfferContent, now: datetime, by: str
) -> bool:
    """Make a draft, version 1, with its counter; False if somebody else made it meanwhile."""
    claimed = await connection.execute(_CLAIM, {"offer_id": offer_id, "now": now})
    if claimed.first() is None:
        return False
    await connection.execute(_OPEN_COUNTER, {"offer_id": offer_id, "cap": content.cap})
    values = {"offer_id": offer_id, "version": 1, "now": now, "by": by, "frozen_at": None}
    await connection.execute(_ADD_VERSION, values | _content(content))
    return True


async def add_version(connection: AsyncConnection, offer: Offer, by: str) -> None:
    """Write the content of ``offer`` as its version, made and put in force at its updated_at."""
    values = {
        "offer_id": offer.offer_id,
        "version": offer.version,
        "frozen_at": offer.updated_at if offer.stored is OfferState.ACTIVE else None,
        "now": offer.updated_at,
        "by": by,
    }
    await connection.execute(_ADD_VERSION, values | _content(offer.content))


async def advance(connection: AsyncConnection, offer: Offer) -> bool:
    """Put version and state in force, for granting too; False if the cap is below what is used."""
    active = offer.stored is OfferState.ACTIVE
    place = {"offer_id": offer.offer_id, "version": offer.version, "now": offer.updated_at}
    await connection.execute(_ADVANCE, place | {"state": offer.stored.value})
    if active:
        await connection.execute(_FREEZE, place)
    counter = {"cap": offer.content.cap, "granting_version": offer.version if active else None}
    row = await connection.execute(_SET_COUNTER, counter | {"offer_id": offer.offer_id})
    return row.first() is not None


async def turn_page(connection: AsyncConnection) -> None:
    """Count the book's version up, last of all, and announce it with the commit."""
    version = await connection.scalar(_TURN_PAGE)
    await connection.execute(_ANNOUNCE, {"version": version})


async def list_offers(
    connection: AsyncConnection, state: OfferState | None, now: datetime, after: str, most: int
) -> list[Offer]:
    """The next ``most`` offers by id after ``after``; ``state`` is the one that callers see."""
    values = {"state": state and state.value, "now": now, "after": after, "most": most}
    return [read_offer(row) for row in (await connection.execute(_LIST, values)).mappings()]


async def stores_of(connection: AsyncConnection, offer_id: str, version: int) -> Any:
    """The store set of a version, in its wire form."""
    values = {"offer_id": offer_id, "version": version}
    return orjson.loads(await connection.scalar(_STORES, values) or "{}")


def read_offer(row: RowMapping | Mapping[str, Any]) -> Offer:
    terms = orjson.loads(row["terms"])
    return Offer(
        offer_id=row["offer_id"],
        version=row["version"],
        stored=OfferState(row["state"]),
        content=OfferContent(row["title"], row["starts_at"], row["ends_at"], terms),
        granted=row["used"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def read_active(row: Mapping[str, Any]) -> ActiveOffer:
    return read_offer(row).as_active


def _content(content: OfferContent) -> dict[str, Any]:
    return {
        "title": content.title,
        "starts_at": content.starts_at,
        "ends_at": content.ends_at,
        "terms": orjson.dumps(dict(content.terms)).decode(),
    }

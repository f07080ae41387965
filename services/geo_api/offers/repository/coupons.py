"""Queries of coupons after their grant."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.coupons import Coupon, CouponState

Place = tuple[datetime, UUID]
"""Where a page of coupons ends: (granted_at, coupon_id)."""

_COLUMNS = """subject_id, coupon_id, offer_id, offer_version, store_id, title,
    CAST(benefit AS text) AS benefit, code, state, granted_at, valid_from, valid_until, uses"""

_BY_CODE = text("SELECT subject_id, coupon_id FROM geo.coupon_codes WHERE code_hash = :hash")

_READ = text(f"""
    SELECT {_COLUMNS} FROM geo.coupons
    WHERE subject_id = :subject_id AND coupon_id = :coupon_id
""")

_LIST = text(f"""
    SELECT {_COLUMNS} FROM geo.coupons
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
        AND (CAST(:granted_at AS timestamptz) IS NULL
            OR (granted_at, coupon_id) < (:granted_at, CAST(:coupon_id AS uuid)))
    ORDER BY granted_at DESC, coupon_id DESC
    LIMIT :most
""")

# The one guard against using a coupon twice: whoever changes the row has the coupon, and all
# others, once they get the lock, find it used.
_USE = text("""
    UPDATE geo.coupons SET state = 'redeemed', uses = uses + 1
    WHERE subject_id = :subject_id AND coupon_id = :coupon_id
        AND state = 'granted' AND valid_from <= :now AND :now < valid_until
    RETURNING uses
""")

_GIVE_BACK = text("""
    UPDATE geo.coupons SET state = 'granted'
    WHERE subject_id = :subject_id AND coupon_id = :coupon_id
        AND state = 'redeemed' AND uses = :use_number
    RETURNING uses
""")


async def find(connection: AsyncConnection, subject_id: UUID, coupon_id: UUID) -> Coupon | None:
    values = {"subject_id": subject_id, "coupon_id": coupon_id}
    row = (await connection.execute(_READ, values)).mappings().first()
    return None if row is None else _coupon(row)


async def find_by_code(connection: AsyncConnection, code_hash: bytes) -> Coupon | None:
    holder = (await connection.execute(_BY_CODE, {"hash": code_hash})).first()
    return None if holder is None else await find(connection, holder.subject_id, holder.coupon_id)


async def list_coupons(
    connection: AsyncConnection, subjects: Sequence[UUID], after: Place | None, most: int
) -> list[Coupon]:
    """The coupons of subjects, latest grant first, behind ``after``."""
    granted_at, coupon_id = after or (None, None)
    values = {
        "subjects": subjects, "granted_at": granted_at, "coupon_id": coupon_id, "most": most
    }  # fmt: skip
    return [_coupon(row) for row in (await connection.execute(_LIST, values)).mappings()]


async def use(connection: AsyncConnection, coupon: Coupon, now: datetime) -> int | None:
    """Use a coupon that is granted and in date; the number of this use, or None if it is not."""
    values = {"subject_id": coupon.subject_id, "coupon_id": coupon.coupon_id, "now": now}
    number: int | None = await connection.scalar(_USE, values)
    return number


async def give_back(
    connection: AsyncConnection, subject_id: UUID, coupon_id: UUID, use_number: int
) -> bool:
    """Undo that use of a coupon; False if it is not the one in force (any more)."""
    values = {"subject_id": subject_id, "coupon_id": coupon_id, "use_number": use_number}
    return await connection.scalar(_GIVE_BACK, values) is not None


def _plain(identifier: UUID) -> UUID:
    """The driver's own kind of UUID as the standard one, which is all that orjson writes."""
    return UUID(int=identifier.int)


def _coupon(row: RowMapping) -> Coupon:
    return Coupon(
        subject_id=_plain(row["subject_id"]),
        coupon_id=_plain(row["coupon_id"]),
        offer_id=row["offer_id"],
        offer_version=row["offer_version"],
        store_id=row["store_id"],
        title=row["title"],
        benefit=orjson.loads(row["benefit"]),
        code=row["code"],
        stored=CouponState(row["state"]),
        granted_at=row["granted_at"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        uses=row["uses"],
    )

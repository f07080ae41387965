"""Every query of redemptions."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.redemptions.domain import Order, Redemption

_COLUMNS = """subject_id, redemption_id, coupon_id, use_number, offer_id, offer_version, store_id,
    staff_id, order_amount_minor, currency, CAST(benefit AS text) AS benefit, redeemed_at,
    reversed_at, reversed_by, reversal_reason"""

_ADD = text("""
    INSERT INTO geo.redemptions (subject_id, redemption_id, coupon_id, use_number, offer_id,
        offer_version, store_id, staff_id, order_amount_minor, currency, benefit, redeemed_at)
    VALUES (:subject_id, :redemption_id, :coupon_id, :use_number, :offer_id, :offer_version,
        :store_id, :staff_id, :amount, :currency, CAST(:benefit AS jsonb), :redeemed_at)
""")

_FIND = text(f"SELECT {_COLUMNS} FROM geo.redemptions WHERE redemption_id = :redemption_id")

_USE = text(f"""
    SELECT {_COLUMNS} FROM geo.redemptions
    WHERE subject_id = :subject_id AND coupon_id = :coupon_id AND use_number = :use_number
""")

_REVERSE = text("""
    UPDATE geo.redemptions SET reversed_at = :at, reversed_by = :by, reversal_reason = :reason
    WHERE subject_id = :subject_id AND redemption_id = :redemption_id AND reversed_at IS NULL
    RETURNING redemption_id
""")


async def add(connection: AsyncConnection, redemption: Redemption) -> None:
    values = {
        "subject_id": redemption.subject_id,
        "redemption_id": redemption.redemption_id,
        "coupon_id": redemption.coupon_id,
        "use_number": redemption.use_number,
        "offer_id": redemption.offer_id,
        "offer_version": redemption.offer_version,
        "store_id": redemption.store_id,
        "staff_id": redemption.staff_id,
        "amount": redemption.order.amount_minor,
        "currency": redemption.order.currency,
        "benefit": orjson.dumps(dict(redemption.benefit)).decode(),
        "redeemed_at": redemption.redeemed_at,
    }
    await connection.execute(_ADD, values)


async def find(connection: AsyncConnection, redemption_id: UUID) -> Redemption | None:
    row = (await connection.execute(_FIND, {"redemption_id": redemption_id})).mappings().first()
    return None if row is None else _redemption(row)


async def use_of(
    connection: AsyncConnection, subject_id: UUID, coupon_id: UUID, use_number: int
) -> Redemption | None:
    values = {"subject_id": subject_id, "coupon_id": coupon_id, "use_number": use_number}
    row = (await connection.execute(_USE, values)).mappings().first()
    return None if row is None else _redemption(row)


async def reverse(
    connection: AsyncConnection, redemption: Redemption, at: datetime, by: str, reason: str
) -> bool:
    """Mark a redemption reversed; False if it is already."""
    values = {
        "subject_id": redemption.subject_id,
        "redemption_id": redemption.redemption_id,
        "at": at,
        "by": by,
        "reason": reason,
    }
    return await connection.scalar(_REVERSE, values) is not None


def _redemption(row: RowMapping) -> Redemption:
    """With UUIDs of the standard kind, not the driver's own: orjson writes no other."""
    fields: dict[str, Any] = {
        name: UUID(int=value.int) if isinstance(value, UUID) else value
        for name, value in row.items()
    }
    order = Order(fields.pop("order_amount_minor"), fields.pop("currency"))
    return Redemption(**fields | {"benefit": orjson.loads(fields["benefit"]), "order": order})

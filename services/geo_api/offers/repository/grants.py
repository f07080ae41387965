"""Queries of granting: each is one statement however many check-ins are decided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.domain import GrantedCoupon
from shared.direct import Statement

_HELD = text("""
    SELECT subject_id, offer_id, store_id, count(*) AS total,
        array_agg(occurred_at) FILTER (WHERE occurred_at >= :since) AS won_at,
        array_agg(grant_key) FILTER (WHERE grant_key = ANY(CAST(:visits AS uuid[]))) AS visits
    FROM geo.coupons
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND offer_id = ANY(CAST(:offers AS text[]))
    GROUP BY subject_id, offer_id, store_id
""")

# The rows exist, so the insert always ends in its update: this form locks the counters in the
# order of their ids, which a plain UPDATE does not promise. All that decides is asked of the
# locked row itself; `standing`, read before the lock, only spares exhausted counters that lock.
_TAKE = text("""
    WITH standing AS (
        SELECT offer_id, wanted.version, wanted.units,
            c.granting_version IS NOT DISTINCT FROM wanted.version AS granting,
            c.cap IS NULL OR c.used < c.cap AS left_over
        FROM unnest(CAST(:offers AS text[]), CAST(:versions AS integer[]),
            CAST(:units AS bigint[])) AS wanted (offer_id, version, units)
        JOIN geo.offer_counters AS c USING (offer_id)
        WHERE c.scope = 'total'
    ), given AS (
        INSERT INTO geo.offer_counters AS c (offer_id, scope, used, granting_version, taken)
        SELECT offer_id, 'total', units, version, units FROM standing
        WHERE granting AND left_over
        ORDER BY offer_id
        ON CONFLICT (offer_id, scope) DO UPDATE SET
            taken = LEAST(EXCLUDED.taken, c.cap - c.used),
            used = c.used + LEAST(EXCLUDED.taken, c.cap - c.used)
        WHERE c.granting_version = EXCLUDED.granting_version
            AND (c.cap IS NULL OR c.used < c.cap)
        RETURNING offer_id, taken
    )
    SELECT offer_id, granting, COALESCE(given.taken, 0) AS taken
    FROM standing LEFT JOIN given USING (offer_id)
""")

_COUPON_COLUMNS = {
    "subject_id": "uuid",
    "coupon_id": "uuid",
    "offer_id": "text",
    "offer_version": "integer",
    "grant_key": "uuid",
    "visit_id": "uuid",
    "check_in_id": "uuid",
    "store_id": "text",
    "title": "text",
    "benefit": "text",
    "code": "bytea",
    "occurred_at": "timestamptz",
    "granted_at": "timestamptz",
    "valid_until": "timestamptz",
    "evidence": "text",
}
_ARRAYS = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COUPON_COLUMNS.items())
_NAMES = ", ".join(_COUPON_COLUMNS)

_WRITE_COUPONS = text(f"""
    INSERT INTO geo.coupons (subject_id, coupon_id, offer_id, offer_version, grant_key, visit_id,
        check_in_id, store_id, title, benefit, code, state, occurred_at, granted_at, valid_from,
        valid_until, uses, evidence)
    SELECT subject_id, coupon_id, offer_id, offer_version, grant_key, visit_id, check_in_id,
        store_id, title, CAST(benefit AS jsonb), code, 'granted', occurred_at, granted_at,
        granted_at, valid_until, 0, CAST(evidence AS jsonb)
    FROM unnest({_ARRAYS}) AS granted ({_NAMES})
""")

_WRITE_CODES = text("""
    INSERT INTO geo.coupon_codes (code_hash, subject_id, coupon_id)
    SELECT * FROM unnest(
        CAST(:hashes AS bytea[]), CAST(:subjects AS uuid[]), CAST(:coupons AS uuid[]))
""")


@dataclass(frozen=True, slots=True)
class Taken:
    """What an offer's counter gave. ``granting``: the offer was active at the version asked for."""

    units: int
    granting: bool


@dataclass(frozen=True, slots=True)
class NewCoupon:
    """A coupon to be written, with what its answer does not show. ``code`` is encrypted."""

    shown: GrantedCoupon
    subject_id: UUID
    grant_key: UUID
    code: bytes
    code_hash: bytes
    occurred_at: datetime
    evidence: dict[str, Any]


async def held(
    connection: AsyncConnection,
    subjects: Iterable[UUID],
    offers: Iterable[str],
    visits: Iterable[UUID],
    since: datetime,
) -> Sequence[Row[Any]]:
    """Per subject, offer and store: ``total`` coupons, those ``won_at`` since, their ``visits``."""
    values = {
        "subjects": list(subjects), "offers": list(offers), "visits": list(visits), "since": since
    }  # fmt: skip
    return (await connection.execute(_HELD, values)).all()


async def take(
    connection: AsyncConnection, wanted: Iterable[tuple[str, int, int]]
) -> dict[str, Taken]:
    """Take up to ``units`` of each (offer, version, units), as many as are left under the cap.

    An offer that is not active at that version gives none. The counters stay locked until the
    end of the transaction, so this comes last of all that locks what others share.
    """
    offers, versions, units = (list(column) for column in zip(*wanted, strict=True))
    values = {"offers": offers, "versions": versions, "units": units}
    rows = await connection.execute(_TAKE, values)
    return {row.offer_id: Taken(row.taken, row.granting) for row in rows}


def writing(coupons: Sequence[NewCoupon]) -> list[Statement]:
    """Write coupons, and their codes beside them."""
    if not coupons:
        return []
    records = [_record(coupon) for coupon in coupons]
    columns = {name: [record[name] for record in records] for name in _COUPON_COLUMNS}
    codes = {
        "hashes": [coupon.code_hash for coupon in coupons],
        "subjects": [coupon.subject_id for coupon in coupons],
        "coupons": [coupon.shown.coupon_id for coupon in coupons],
    }
    return [Statement(_WRITE_COUPONS, columns), Statement(_WRITE_CODES, codes)]


def _record(coupon: NewCoupon) -> dict[str, Any]:
    shown = coupon.shown
    return {
        "subject_id": coupon.subject_id,
        "coupon_id": shown.coupon_id,
        "offer_id": shown.offer_id,
        "offer_version": shown.offer_version,
        "grant_key": coupon.grant_key,
        "visit_id": shown.visit_id,
        "check_in_id": shown.check_in_id,
        "store_id": shown.store_id,
        "title": shown.title,
        "benefit": orjson.dumps(dict(shown.benefit)).decode(),
        "code": coupon.code,
        "occurred_at": coupon.occurred_at,
        "granted_at": shown.granted_at,
        "valid_until": shown.valid_until,
        "evidence": orjson.dumps(coupon.evidence).decode(),
    }

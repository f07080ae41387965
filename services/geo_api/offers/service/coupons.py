"""Coupons after their grant: shown to their holder, found by code, used and given back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.codes import code_hash, lookup_key, read_code
from services.geo_api.offers.coupons import Coupon, CouponUnknown, ShownCoupon
from services.geo_api.offers.domain import StoreSet
from services.geo_api.offers.repository import coupons as repository
from services.geo_api.offers.repository import offers
from services.geo_api.offers.repository.coupons import Place
from services.geo_api.subjects import repository as subjects
from shared.sealing import StorageKey

find = repository.find
use = repository.use
give_back = repository.give_back


async def held_by(
    connection: AsyncConnection, subject_id: UUID, after: Place | None, most: int
) -> list[Coupon]:
    """The coupons of a person, through any of its subjects, latest grant first."""
    kin = await _kin(connection, subject_id)
    return await repository.list_coupons(connection, kin, after, most)


async def own(
    connection: AsyncConnection, subject_id: UUID, coupon_id: UUID, now: datetime
) -> Coupon:
    """A coupon of the person's that can be used, now or later.

    Raises CouponUnknown, also for somebody else's, and CouponNotUsable.
    """
    for subject in await _kin(connection, subject_id):
        coupon = await repository.find(connection, subject, coupon_id)
        if coupon is not None:
            coupon.require_usable(now)
            return coupon
    raise CouponUnknown("You have no such coupon.")


async def _kin(connection: AsyncConnection, subject_id: UUID) -> list[UUID]:
    """All subjects of the person, as far as they are known."""
    known = await subjects.read(connection, [subject_id])
    return sorted({subject_id, *(sibling for state in known for sibling in state.siblings)})


def show(coupon: Coupon, storage: StorageKey, now: datetime) -> ShownCoupon:
    code = storage.decrypt(coupon.code, coupon.coupon_id.bytes).decode()
    return ShownCoupon(coupon, code, coupon.state_at(now))


async def find_by_code(
    connection: AsyncConnection, storage: StorageKey, text: str
) -> Coupon | None:
    """The coupon whose code somebody typed or scanned; None if there is none."""
    code = read_code(text)
    if code is None:
        return None
    return await repository.find_by_code(connection, code_hash(lookup_key(storage), code))


async def stores_of(connection: AsyncConnection, coupon: Coupon) -> StoreSet:
    """Where a coupon can be used: the stores of its offer, in the version that was granted."""
    terms = await offers.stores_of(connection, coupon.offer_id, coupon.offer_version)
    return StoreSet.from_terms(terms)

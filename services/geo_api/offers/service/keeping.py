"""Keeping offers: writing what they say, and moving them through their life."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.lifecycle import (
    CapBelowUsed,
    OfferEnded,
    OfferState,
    OfferUnknown,
    Verb,
    next_state,
)
from services.geo_api.offers.records import Offer, OfferContent
from services.geo_api.offers.repository import offers as repository
from services.geo_api.places.domain import Condition


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes an offer, and when."""

    name: str
    at: datetime


async def get(connection: AsyncConnection, offer_id: str) -> Offer:
    """Raises OfferUnknown."""
    return _known(await repository.find(connection, offer_id), offer_id)


async def put(
    connection: AsyncConnection,
    offer_id: str,
    content: OfferContent,
    author: Author,
    condition: Condition,
) -> tuple[Offer, bool]:
    """The offer once ``content`` counts, and whether it is new.

    Equal content changes nothing. Other content makes the next version, in force at once; an
    active offer goes on as it, under the same counter.
    Raises OfferEnded, CapBelowUsed, and VersionChanged by ``condition``.
    """
    present = await repository.lock(connection, offer_id)
    condition.check(present.version if present else None)
    if present is None:
        made = await repository.create(connection, offer_id, content, author.at, author.name)
        if not made:
            return await put(connection, offer_id, content, author, condition)
        await repository.turn_page(connection)
        return await get(connection, offer_id), True
    if content == present.content:
        return present, False
    if present.stored is OfferState.ENDED:
        raise OfferEnded("The offer was ended for good. Put a new one under a new id.")
    changed = replace(present, version=present.version + 1, content=content, updated_at=author.at)
    await repository.add_version(connection, changed, author.name)
    await _advance(connection, changed)
    return await get(connection, offer_id), False


async def move(connection: AsyncConnection, offer_id: str, verb: Verb, now: datetime) -> Offer:
    """Activate, pause or end; the same again changes nothing.

    Raises OfferUnknown, OfferEnded and OfferNotActive.
    """
    present = _known(await repository.lock(connection, offer_id), offer_id)
    state = next_state(verb, present.stored, present.content.ends_at, now)
    if state is present.stored:
        return present
    changed = replace(present, stored=state, updated_at=now)
    await _advance(connection, changed)
    return changed


async def _advance(connection: AsyncConnection, offer: Offer) -> None:
    if not await repository.advance(connection, offer):
        present = await get(connection, offer.offer_id)
        raise CapBelowUsed(
            f"{present.granted} coupons were granted already, so the total cap cannot be "
            f"{offer.content.cap}. Put a cap of at least that, or end the offer.",
            granted=present.granted,
        )
    await repository.turn_page(connection)


def _known(offer: Offer | None, offer_id: str) -> Offer:
    if offer is None:
        raise OfferUnknown(f"There is no offer {offer_id}.")
    return offer

"""Offers, and people who come by, with what a test needs changed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.domain import (
    ActiveOffer,
    OfferBook,
    Presence,
    Situation,
    StoreSet,
    Trigger,
)
from services.geo_api.offers.lifecycle import Verb
from services.geo_api.offers.records import Offer
from services.geo_api.offers.repository import offers as repository
from services.geo_api.offers.schemas import OfferIn
from services.geo_api.offers.service import keeping
from services.geo_api.offers.service.grants import GrantContext, Granted, grant
from services.geo_api.places.domain import ANY
from shared.contracts.events import Lifecycle
from shared.db import Database
from shared.direct import run_together
from shared.sealing import StorageKey

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STORAGE = StorageKey(b"k" * 32)
CONTEXT = GrantContext(now=NOW, storage=STORAGE)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def active_offer(**changes: Any) -> ActiveOffer:
    offer: dict[str, Any] = {
        "offer_id": "o1",
        "version": 1,
        "title": "5 off",
        "trigger": Trigger.CHECK_IN,
        "stores": StoreSet(everywhere=True),
        "starts_at": NOW - timedelta(days=1),
        "ends_at": NOW + timedelta(days=1),
        "per_person": None,
        "benefit": {"type": "amount", "value_minor": 500, "currency": "CNY"},
        "valid_for": timedelta(hours=24),
    }
    return ActiveOffer(**offer | changes)


def presence(**changes: Any) -> Presence:
    place: dict[str, Any] = {
        "store_id": "s1",
        "tags": frozenset(),
        "visit_id": uuid4(),
        "entered": True,
        "geofence_id": "f1",
        "geofence_version": 1,
        "confidence": 3,
    }
    return Presence(**place | changes)


def situation(*presences: Presence, **changes: Any) -> Situation:
    """A check-in of a new person, received as it occurred, at ``NOW`` inside of store s1."""
    subject_id = changes.get("subject_id", uuid4())
    occurred_at = changes.get("occurred_at", NOW)
    fields: dict[str, Any] = {
        "subject_id": subject_id,
        "siblings": (subject_id,),
        "lifecycle": Lifecycle.FAN,
        "marketing_refused": False,
        "check_in_id": uuid4(),
        "kind": "manual",
        "occurred_at": occurred_at,
        "received_at": occurred_at,
        "presences": presences or (presence(),),
    }
    return Situation(**fields | changes)


def offer_body(**changes: Any) -> dict[str, Any]:
    body = {
        "title": "5 off",
        "trigger": {"type": "check_in"},
        "stores": {"all": True},
        "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "2099-01-01T00:00:00Z",
        "caps": {"total": 10},
        "benefit": {"type": "amount", "value_minor": 500, "currency": "CNY"},
        "coupon": {"valid_for_s": 86400},
    }
    return body | changes


async def store_offer(
    database: Database, offer_id: str = "o1", *, activate: bool = True, **changes: Any
) -> Offer:
    """Put an offer, and let it grant."""
    content = OfferIn.model_validate(offer_body(**changes)).content()
    async with database.begin() as connection:
        author = keeping.Author("test", NOW)
        offer, _ = await keeping.put(connection, offer_id, content, author, ANY)
        if activate:
            offer = await keeping.move(connection, offer_id, Verb.ACTIVATE, NOW)
    return offer


async def book_of(database: Database) -> OfferBook:
    async with database.begin() as connection:
        offers = await repository.list_offers(connection, None, NOW, "", 1000)
    return OfferBook(1, tuple(offer.as_active for offer in offers))


async def come(
    database: Database, *situations: Situation, book: OfferBook | None = None
) -> list[Granted]:
    """Decide check-ins in one transaction of their own."""
    book = book or await book_of(database)
    async with database.begin() as connection:
        return await grant_all(connection, book, situations, CONTEXT)


async def grant_all(
    connection: AsyncConnection,
    book: OfferBook,
    situations: Sequence[Situation],
    context: GrantContext,
) -> list[Granted]:
    """Grant, and write what that asks for, as a group of check-ins does."""
    grants = await grant(connection, book, situations, context)
    await run_together(connection, grants.writing)
    return [*grants.given]


def reasons(granted: Sequence[Granted]) -> list[str | None]:
    """For each check-in the reason of its only decision; None is granted."""
    return [one.decisions[0].reason for one in granted]


def same_person(*subjects: UUID) -> dict[str, Any]:
    return {"siblings": tuple(sorted(subjects))}

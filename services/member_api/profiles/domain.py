"""How near a person has come: fan, customer, member, and what brought them and each change about."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.member_api.membership.domain import Membership
from services.member_api.timeline.domain import Contact, Purchase, Stay, first_purchase
from shared.contracts.events import EventType, Lifecycle
from shared.ids import birth_person_id


@dataclass(frozen=True, slots=True)
class LifecycleChange:
    """A step up, when it was taken and by which event of the timeline.

    ``campaign`` and ``kol`` are those of the invitation that a member joined by.
    """

    to: Lifecycle
    at: datetime
    cause_type: EventType
    event_id: UUID
    store_id: str | None
    campaign: str | None = None
    kol: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """By what somebody came to us: a social channel, else ``visit`` or ``sign_up``."""

    channel: str
    at: datetime
    account_id: str | None = None
    store_id: str | None = None
    scene: str | None = None
    campaign: str | None = None
    kol: str | None = None


def lifecycle_changes(
    purchases: Iterable[Purchase], memberships: Iterable[Membership]
) -> list[LifecycleChange]:
    """The steps a person took from fan, in order of time.

    A customer has a redemption that was not reversed, a member has joined. The cause of each is
    the earliest by (time, event id), so that the order of arrival does not matter. Who joined
    first never was a mere customer.
    """
    changes = []
    bought = first_purchase(purchases)
    joined = min(memberships, key=lambda m: (m.joined_at, m.event_id), default=None)
    if bought is not None and (joined is None or bought.redeemed_at < joined.joined_at):
        changes.append(
            LifecycleChange(
                Lifecycle.CUSTOMER,
                bought.redeemed_at,
                EventType.COUPON_REDEEMED,
                bought.event_id,
                bought.store_id,
            )
        )
    if joined is not None:
        changes.append(
            LifecycleChange(
                Lifecycle.MEMBER,
                joined.joined_at,
                EventType.SIGNED_UP,
                joined.event_id,
                joined.store_id,
                joined.campaign,
                joined.kol,
            )
        )
    return changes


def acquisition(
    contacts: Iterable[Contact], stays: Iterable[Stay], memberships: Iterable[Membership]
) -> Arrival | None:
    """What first brought a person: the earliest contact by (time, event id).

    Who never came through a social channel was brought by the first visit or the sign-up,
    whichever was earlier. Ids of visits depend on the order of arrival and decide nothing.
    """
    first = min(contacts, key=lambda contact: contact.order, default=None)
    if first is not None:
        return _by(first)
    visited = min(stays, key=lambda stay: (stay.entered_at, stay.store_id), default=None)
    joined = min(memberships, key=lambda one: (one.joined_at, one.event_id), default=None)
    if joined is not None and (visited is None or joined.joined_at < visited.entered_at):
        return Arrival(
            "sign_up",
            joined.joined_at,
            store_id=joined.store_id,
            campaign=joined.campaign,
            kol=joined.kol,
        )
    if visited is None:
        return None
    return Arrival("visit", visited.entered_at, store_id=visited.store_id)


def last_touch(contacts: Iterable[Contact]) -> Arrival | None:
    """The latest contact by (time, event id)."""
    last = max(contacts, key=lambda contact: contact.order, default=None)
    return None if last is None else _by(last)


def _by(contact: Contact) -> Arrival:
    return Arrival(
        channel=contact.channel,
        at=contact.at,
        account_id=contact.account_id,
        store_id=contact.store_id,
        scene=contact.scene,
        campaign=contact.campaign,
        kol=contact.kol,
    )


def lifecycle_after(changes: list[LifecycleChange]) -> Lifecycle:
    return changes[-1].to if changes else Lifecycle.FAN


def stranger(subject_id: UUID) -> dict[str, Any]:
    """The audience facts of a subject of which nothing is known: what geo_api takes for granted."""
    return {
        "person_id": str(birth_person_id(subject_id)),
        "siblings": [str(subject_id)],
        "lifecycle": Lifecycle.FAN.value,
        "consents": {},
    }


def digest(facts: Mapping[str, Any]) -> bytes:
    """Tells audience facts apart."""
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).digest()


def next_revision(revision: int, erased_at: datetime | None) -> int:
    """The revision after one that was told.

    After an erasure the count is lost, so it goes on from the seconds of the erasure, which no
    count reaches: geo_api must never take what is told anew for old.
    """
    if revision == 0 and erased_at is not None:
        return int(erased_at.timestamp()) + 1
    return revision + 1

"""How near a person has come: fan, customer, member, and what brought each change about."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.member_api.membership.domain import Membership
from services.member_api.timeline.domain import Purchase, first_purchase
from shared.contracts.events import EventType, Lifecycle
from shared.ids import birth_person_id


@dataclass(frozen=True, slots=True)
class LifecycleChange:
    """A step up, when it was taken and by which event of the timeline."""

    to: Lifecycle
    at: datetime
    cause_type: EventType
    event_id: UUID
    store_id: str | None


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
            )
        )
    return changes


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

"""A person as a whole: who it is, what it did, how near it has come."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.membership import service as membership
from services.member_api.membership.domain import Membership
from services.member_api.people import service as people
from services.member_api.people.domain import KnownIdentity, SubjectState
from services.member_api.profiles.domain import (
    Arrival,
    LifecycleChange,
    acquisition,
    last_touch,
    lifecycle_after,
    lifecycle_changes,
)
from services.member_api.timeline import reading, social
from services.member_api.timeline.domain import (
    Follow,
    Purchase,
    count_dwells,
    count_visits,
    spend_minor,
)
from services.member_api.timeline.social_facts import MESSAGE_STATES
from shared.contracts.events import Lifecycle
from shared.keys import MemberKeys


@dataclass(frozen=True, slots=True)
class Traits:
    """What a person's subjects did, taken together. Money is in minor units, by currency.

    ``messages`` counts each message once, by what has become of it.
    """

    first_seen_at: datetime | None
    last_seen_at: datetime | None
    check_ins: int
    visits: int
    visits_by_store: dict[str, int]
    dwells_by_store: dict[str, int]
    coupons_granted: int
    redemptions: int
    spend_minor: dict[str, int]
    acquisition: Arrival | None
    last_touch: Arrival | None
    follows: list[Follow]
    messages: dict[str, int]


@dataclass(frozen=True, slots=True)
class Profile:
    """``merged_into`` is the person's present id where it was asked for by a former one."""

    person_id: UUID
    merged_into: UUID | None
    subjects: list[UUID]
    identities: list[KnownIdentity]
    memberships: list[Membership]
    profile: dict[str, str]
    traits: Traits
    lifecycle: Lifecycle
    lifecycle_changes: list[LifecycleChange]


async def read_profile(connection: AsyncConnection, keys: MemberKeys, person_id: UUID) -> Profile:
    """The person that an id, present or former, means now. Raises PersonNotFound."""
    states = await people.resolve(connection, person_id)
    subjects = [state.subject_id for state in states]
    bought = await reading.purchases(connection, subjects)
    purchases = [purchase for subject in subjects for purchase in bought.get(subject, ())]
    joined = await membership.memberships(connection, subjects)
    changes = lifecycle_changes(purchases, joined)
    present = states[0].person_id
    return Profile(
        person_id=present,
        merged_into=None if present == person_id else present,
        subjects=subjects,
        identities=await _identities(connection, keys, subjects),
        memberships=joined,
        profile=await membership.profile_of(connection, keys, subjects),
        traits=await _traits(connection, states, purchases, joined),
        lifecycle=lifecycle_after(changes),
        lifecycle_changes=changes,
    )


async def _traits(
    connection: AsyncConnection,
    states: Sequence[SubjectState],
    purchases: Sequence[Purchase],
    joined: Sequence[Membership],
) -> Traits:
    """Combined over the subjects by what neither their order nor any merge can change."""
    subjects = [state.subject_id for state in states]
    stays = await reading.stays(connection, subjects)
    visits = count_visits(stays)
    contacts = await social.contacts(connection, subjects)
    messages = await social.messages(connection, subjects)
    return Traits(
        first_seen_at=min(_known(state.first_seen_at for state in states), default=None),
        last_seen_at=max(_known(state.last_seen_at for state in states), default=None),
        check_ins=sum(state.check_ins for state in states),
        visits=Counter(visits).total(),
        visits_by_store=visits,
        dwells_by_store=count_dwells(stays),
        coupons_granted=sum(state.coupons_granted for state in states),
        redemptions=len(purchases),
        spend_minor=spend_minor(purchases),
        acquisition=acquisition(contacts, stays, joined),
        last_touch=last_touch(contacts),
        follows=await social.follows(connection, subjects),
        messages={state: messages.get(state, 0) for state in MESSAGE_STATES},
    )


async def _identities(
    connection: AsyncConnection, keys: MemberKeys, subjects: Sequence[UUID]
) -> list[KnownIdentity]:
    """Verified identities, then what was claimed and is not among them."""
    verified = await people.identities_of(connection, keys, subjects)
    held = {(one.namespace, one.issuer, one.value) for one in verified}
    claimed = {
        (one.namespace, one.issuer, one.value): one
        for one in await membership.claimed_identities(connection, keys, subjects)
    }
    return verified + [one for parts, one in claimed.items() if parts not in held]


def _known(moments: Iterable[datetime | None]) -> Iterable[datetime]:
    return (moment for moment in moments if moment is not None)

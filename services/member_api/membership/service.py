"""Becoming a member, and what members say of themselves."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.membership import repository
from services.member_api.membership.domain import (
    MAX_CLAIMS,
    MAX_PROFILE_FIELDS,
    InvitationExpired,
    InvitationUsed,
    Invited,
    Membership,
    sign_up_key,
)
from services.member_api.membership.repository import (
    Claim,
    forget,
    forget_invitations,
    memberships,
)
from services.member_api.people import service as people
from services.member_api.people.announcing import Announcer, Happening
from services.member_api.people.domain import KnownIdentity
from services.member_api.people.service import SealedIdentity
from shared.contracts.events import EventType
from shared.errors import FieldFault, Malformed
from shared.identity import Namespace
from shared.keys import MemberKeys

__all__ = [
    "claim",
    "claimed_identities",
    "forget",
    "forget_invitations",
    "join",
    "memberships",
    "profile_of",
    "use_invitation",
    "write_profile",
]


async def use_invitation(connection: AsyncConnection, invited: Invited, now: datetime) -> None:
    """Raises InvitationExpired or InvitationUsed."""
    if invited.expires_at <= now:
        raise InvitationExpired("The invitation was good for 24 hours; check in again for another.")
    if not await repository.use_invitation(connection, invited, now):
        raise InvitationUsed("Somebody signed up with it; check in again for another.")


async def join(
    connection: AsyncConnection,
    subject_id: UUID,
    invited: Invited | None,
    announcer: Announcer,
    now: datetime,
) -> tuple[Membership, bool]:
    """Make a locked subject a member; (its membership, whether it is new)."""
    store_id = None if invited is None else invited.store_id
    campaign = None if invited is None else invited.campaign
    kol = None if invited is None else invited.kol
    data = {"campaign": campaign, "kol": kol, "invited": invited is not None}
    key = sign_up_key(invited)
    happening = Happening(EventType.SIGNED_UP, subject_id, key, now, store_id, data)
    membership = Membership(subject_id, happening.event_id, now, store_id, campaign, kol)
    if not await repository.join(connection, membership):
        return (await memberships(connection, [subject_id]))[0], False
    await announcer.happened(connection, [happening], now)
    await announcer.people_changed(connection, [subject_id], now)
    return membership, True


async def claim(
    connection: AsyncConnection,
    subject_id: UUID,
    identities: Sequence[SealedIdentity],
    now: datetime,
) -> None:
    """Keep what a subject says its identities are. It joins nobody, whoever may exist.

    Raises Malformed for more than 50, those claimed before among them.
    """
    claims = [
        Claim(subject_id, said.subject_id, said.namespace, said.issuer, said.sealed)
        for said in identities
    ]
    await repository.claim(connection, subject_id, claims, now)
    if len(await repository.claims_of(connection, [subject_id])) > MAX_CLAIMS:
        detail = f"would be more than {MAX_CLAIMS} with those sent before"
        raise Malformed(FieldFault("/identities", detail))


async def claimed_identities(
    connection: AsyncConnection, keys: MemberKeys, subjects: Iterable[UUID]
) -> list[KnownIdentity]:
    """The unverified identities of subjects, opened, by the subject that claims them."""
    return [
        KnownIdentity(
            claim.subject_id,
            Namespace(claim.namespace),
            claim.issuer,
            people.open_box(keys, claim.sealed).value,
            verified=False,
        )
        for claim in await repository.claims_of(connection, subjects)
    ]


async def write_profile(
    connection: AsyncConnection,
    keys: MemberKeys,
    subject_id: UUID,
    profile: Mapping[str, str],
    now: datetime,
) -> None:
    """Add to what a member says of itself; a field written before is replaced.

    Raises Malformed for more than 20 fields, those written before among them.
    """
    if not profile:
        return
    whole = {**await profile_of(connection, keys, [subject_id]), **profile}
    if len(whole) > MAX_PROFILE_FIELDS:
        detail = f"would have more than {MAX_PROFILE_FIELDS} fields with those sent before"
        raise Malformed(FieldFault("/profile", detail))
    sealed = keys.storage.encrypt(orjson.dumps(whole), _context(subject_id))
    await repository.write_profile(connection, subject_id, sealed, now)


async def profile_of(
    connection: AsyncConnection, keys: MemberKeys, subjects: Iterable[UUID]
) -> dict[str, str]:
    """What a person says of itself: of each field, what was written last."""
    profile: dict[str, str] = {}
    for subject_id, sealed in await repository.sealed_profiles(connection, subjects):
        profile |= orjson.loads(keys.storage.decrypt(sealed, _context(subject_id)))
    return profile


def _context(subject_id: UUID) -> bytes:
    return b"member.personal_profiles" + subject_id.bytes

"""The use case of joining: membership, identities, consents and profile in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.consents.service import Consents, Given, Record
from services.member_api.context import Context
from services.member_api.membership import service as membership
from services.member_api.membership.domain import Membership
from services.member_api.people import service as people
from services.member_api.people.domain import MergeWish
from services.member_api.people.service import SealedIdentity
from services.member_api.signups.domain import (
    Applicant,
    Attached,
    AttachedIdentity,
    InvitationErased,
    is_forgotten,
)
from shared.identity import Namespace

EVIDENCE = "sign_up"


async def sign_up(
    connection: AsyncConnection,
    context: Context,
    applicant: Applicant,
    identities: Sequence[SealedIdentity],
    now: datetime,
) -> tuple[Membership, bool, list[AttachedIdentity]]:
    """Make the applicant a member; (membership, whether it is new, what became of identities).

    Raises InvitationExpired, InvitationUsed, InvitationErased or Contended.
    """
    subject = applicant.subject_id
    joining = [identity.subject_id for identity in identities] if applicant.is_vouched else []
    await people.lock_living(connection, context.keys, {subject, *joining}, now)
    await _take_invitation(connection, context, applicant, now)
    attached = await _attach(connection, context, applicant, identities, now)
    await membership.write_profile(connection, context.keys, subject, applicant.profile, now)
    joined, is_new = await membership.join(
        connection, subject, applicant.invited, context.announcer, now
    )
    return joined, is_new, attached


async def consent(
    connection: AsyncConnection, consents: Consents, given: Sequence[Given], now: datetime
) -> list[Record]:
    """Write down what was said at the sign-up; faults are told at ``/consents/<index>``."""
    return [
        await consents.give(connection, one, now, pointer=f"/consents/{index}")
        for index, one in enumerate(given)
    ]


async def _take_invitation(
    connection: AsyncConnection, context: Context, applicant: Applicant, now: datetime
) -> None:
    if applicant.invited is None:
        return
    await membership.use_invitation(connection, applicant.invited, now)
    invited = applicant.invited.subject_id
    erased = await people.erasures(connection, context.keys.identity, [invited])
    if is_forgotten(applicant.invited, erased.get(invited)):
        raise InvitationErased("It was given out before an erasure; check in again for another.")


async def _attach(
    connection: AsyncConnection,
    context: Context,
    applicant: Applicant,
    identities: Sequence[SealedIdentity],
    now: datetime,
) -> list[AttachedIdentity]:
    """Verified identities join their people to the applicant; unverified ones are only kept."""
    if not applicant.is_vouched:
        await membership.claim(connection, applicant.subject_id, identities, now)
        return [AttachedIdentity(Namespace(i.namespace), Attached.CLAIMED) for i in identities]
    await people.vouch_for(connection, identities, context.announcer, now)
    return [
        await _join(connection, context, applicant, (identity.namespace, identity.subject_id), now)
        for identity in identities
    ]


async def _join(
    connection: AsyncConnection,
    context: Context,
    applicant: Applicant,
    identity: tuple[str, UUID],
    now: datetime,
) -> AttachedIdentity:
    namespace, subject = identity
    wish = MergeWish((applicant.subject_id, subject), EVIDENCE, applicant.actor, now)
    against = await people.join(connection, wish, context.announcer)
    if against is not None:
        return AttachedIdentity(Namespace(namespace), Attached.REVIEW, against.value)
    return AttachedIdentity(Namespace(namespace), Attached.JOINED)

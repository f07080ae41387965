"""Queries of memberships, personal profiles, claims and used invitations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.membership.domain import Invited, Membership

_USE = text("""
    INSERT INTO member.used_invitations (jti, used_at, expires_at)
    VALUES (:jti, :now, :expires_at) ON CONFLICT (jti) DO NOTHING RETURNING jti
""")

_JOIN = text("""
    INSERT INTO member.memberships (subject_id, event_id, joined_at, store_id, campaign, kol)
    VALUES (:subject_id, :event_id, :joined_at, :store_id, :campaign, :kol)
    ON CONFLICT (subject_id) DO NOTHING RETURNING subject_id
""")

_MEMBERSHIPS = text("""
    SELECT subject_id, event_id, joined_at, store_id, campaign, kol FROM member.memberships
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY joined_at, event_id
""")

_PROFILES = text("""
    SELECT subject_id, sealed FROM member.personal_profiles
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY updated_at, subject_id
""")

_WRITE_PROFILE = text("""
    INSERT INTO member.personal_profiles (subject_id, sealed, updated_at)
    VALUES (:subject_id, :sealed, :now)
    ON CONFLICT (subject_id) DO UPDATE SET
        sealed = EXCLUDED.sealed, updated_at = EXCLUDED.updated_at
""")

_CLAIM = text("""
    INSERT INTO member.claims
        (subject_id, claimed_subject_id, namespace, issuer, sealed, claimed_at)
    SELECT :subject_id, id, namespace, issuer, sealed, :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:namespaces AS text[]), CAST(:issuers AS text[]),
        CAST(:boxes AS bytea[])) AS said (id, namespace, issuer, sealed)
    ON CONFLICT (subject_id, claimed_subject_id) DO NOTHING
""")

_CLAIMS = text("""
    SELECT subject_id, claimed_subject_id, namespace, issuer, sealed FROM member.claims
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
    ORDER BY namespace, issuer, claimed_subject_id
""")

_FORGET = (
    """DELETE FROM member.claims WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
        OR claimed_subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.personal_profiles WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.memberships WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
)

_FORGET_INVITATIONS = text("DELETE FROM member.used_invitations WHERE expires_at < :now")


@dataclass(frozen=True, slots=True)
class Claim:
    """An unverified identity: ``subject_id`` says that ``claimed_subject_id`` is its own."""

    subject_id: UUID
    claimed_subject_id: UUID
    namespace: str
    issuer: str
    sealed: bytes


async def use_invitation(connection: AsyncConnection, invited: Invited, now: datetime) -> bool:
    """Whether this is the invitation's first use; waits for whoever is using it."""
    values = {"jti": invited.jti, "now": now, "expires_at": invited.expires_at}
    return (await connection.execute(_USE, values)).first() is not None


async def forget_invitations(connection: AsyncConnection, before: datetime) -> None:
    """Delete used invitations that expired before a time: nobody can use them again."""
    await connection.execute(_FORGET_INVITATIONS, {"now": before})


async def join(connection: AsyncConnection, membership: Membership) -> bool:
    """Whether the subject was no member before."""
    values = {
        "subject_id": membership.subject_id,
        "event_id": membership.event_id,
        "joined_at": membership.joined_at,
        "store_id": membership.store_id,
        "campaign": membership.campaign,
        "kol": membership.kol,
    }
    return (await connection.execute(_JOIN, values)).first() is not None


async def memberships(connection: AsyncConnection, subjects: Iterable[UUID]) -> list[Membership]:
    """Memberships of subjects, the earliest first."""
    rows = await connection.execute(_MEMBERSHIPS, {"subjects": list(subjects)})
    return [Membership(*row) for row in rows]


async def sealed_profiles(
    connection: AsyncConnection, subjects: Iterable[UUID]
) -> list[tuple[UUID, bytes]]:
    """Encrypted profiles, the one written last at the end."""
    rows = await connection.execute(_PROFILES, {"subjects": list(subjects)})
    return [(row.subject_id, bytes(row.sealed)) for row in rows]


async def write_profile(
    connection: AsyncConnection, subject_id: UUID, sealed: bytes, now: datetime
) -> None:
    values = {"subject_id": subject_id, "sealed": sealed, "now": now}
    await connection.execute(_WRITE_PROFILE, values)


async def claim(
    connection: AsyncConnection, subject_id: UUID, claims: Sequence[Claim], now: datetime
) -> None:
    values = {
        "subject_id": subject_id,
        "ids": [claim.claimed_subject_id for claim in claims],
        "namespaces": [claim.namespace for claim in claims],
        "issuers": [claim.issuer for claim in claims],
        "boxes": [claim.sealed for claim in claims],
        "now": now,
    }
    await connection.execute(_CLAIM, values)


async def claims_of(connection: AsyncConnection, subjects: Iterable[UUID]) -> list[Claim]:
    rows = await connection.execute(_CLAIMS, {"subjects": list(subjects)})
    return [Claim(*row) for row in rows]


async def forget(connection: AsyncConnection, subjects: Iterable[UUID]) -> None:
    """Remove memberships, profiles and claims of subjects, and what others claimed of them."""
    for statement in _FORGET:
        await connection.execute(text(statement), {"subjects": list(subjects)})

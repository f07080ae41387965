"""Telling member_api who somebody is, and that two identities are one person."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.feeding import tell
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.domain import SubjectState
from services.geo_api.subjects.service import lock
from services.geo_api.subjects.telling import identity_observed
from services.geo_api.wechat.tools import WeChatTools
from shared.contracts.events import EventType
from shared.direct import run_together
from shared.feed.outbox import PreparedEvent, enqueue
from shared.identity import Identity, subject_id

BY_UNIONID, BY_PHONE = "wechat_unionid", "wechat_phone"


@dataclass(frozen=True, slots=True)
class Proof:
    """WeChat's word that ``identity`` is the person's own; ``evidence`` names it."""

    identity: Identity
    evidence: str


async def introduce(
    connection: AsyncConnection,
    tools: WeChatTools,
    person: UUID,
    identity: Identity | None,
    proof: Proof | None,
    now: datetime,
) -> None:
    """Tell ``identity``, that of ``person``, and what ``proof`` adds, as far as nobody did.

    Where both are known to be one person there is nothing to join; and what is told twice is taken
    once, so that a join which somebody took back stays so.
    """
    key = tools.keys.identity
    identities = {person: identity} if identity else {}
    if proof is not None:
        identities[subject_id(key, proof.identity)] = proof.identity
    states = await lock(connection, key, {person, *identities}, now)
    untold = {s: one for s, one in identities.items() if not states[s].identity_told}
    await keep(connection, states, untold)
    facts = [
        identity_observed(tools.keys.sealing, subject, one, now) for subject, one in untold.items()
    ]
    if proof is not None:
        facts += _joined(states[person], subject_id(key, proof.identity), proof.evidence, now)
    if facts:
        await enqueue(connection, tools.feed_tables, facts)


async def keep(
    connection: AsyncConnection,
    states: dict[UUID, SubjectState],
    untold: dict[UUID, Identity] | None = None,
) -> None:
    """Keep the rows that a lock made, with their erasure, and note whose identity is told now."""
    told = untold or {}
    seen = [
        subjects.Seen(subject, told=subject in told, erased_at=state.erased_at)
        for subject, state in states.items()
        if state.is_new or subject in told
    ]
    await run_together(connection, subjects.touching(seen))


def _joined(person: SubjectState, other: UUID, evidence: str, now: datetime) -> list[PreparedEvent]:
    if other in person.siblings:
        return []
    fact = tell(
        EventType.IDENTITIES_JOINED,
        person.subject_id,
        f"{person.subject_id}/{other}",
        time=now,
        received_at=now,
        data={"other": str(other), "evidence": evidence},
    )
    return [fact]

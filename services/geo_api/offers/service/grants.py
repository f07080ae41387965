"""Granting coupons to a group of check-ins, inside the transaction that decides them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.codes import code_hash, lookup_key, new_code
from services.geo_api.offers.domain import (
    Candidate,
    Decision,
    GrantedCoupon,
    OfferBook,
    Reason,
    Situation,
    candidates,
    refuse_at_sight,
)
from services.geo_api.offers.eligibility import Past, Verdict, decide
from services.geo_api.offers.repository import grants as repository
from services.geo_api.offers.repository.grants import NewCoupon, Taken
from services.geo_api.offers.service import history
from services.geo_api.presence.domain import Visit
from shared.direct import Statement
from shared.ids import uuid7
from shared.sealing import StorageKey


@dataclass(frozen=True, slots=True)
class GrantContext:
    """``now`` is when the group is decided; ``storage`` encrypts codes and derives their look-up."""

    now: datetime
    storage: StorageKey
    new_id: Callable[[], UUID] = uuid7


@dataclass(slots=True)
class Granted:
    """What one check-in won, and a decision for every offer considered at its stores."""

    coupons: list[GrantedCoupon] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Grants:
    """What a group won, one entry per check-in in order, and the writes that make it count."""

    given: Sequence[Granted]
    writing: Sequence[Statement]


async def grant(
    connection: AsyncConnection,
    book: OfferBook,
    situations: Sequence[Situation],
    context: GrantContext,
    *,
    known: Mapping[UUID, Sequence[Visit]] = MappingProxyType({}),
) -> Grants:
    """Grant what ``book`` offers to accepted check-ins.

    The caller has locked all subjects and siblings, and runs ``writing`` in the same transaction.
    A constant number of statements, none when no offer can be granted. ``known`` holds visits by
    subject for those whose visits the caller has at hand; they are not read again. Nothing
    aborts: whoever comes after the last unit, in the order (occurred_at, check_in_id), is told
    ``stock_out``. Makes no events.
    """
    seen = candidates(book, situations)
    verdicts = [Verdict(candidate, refuse_at_sight(candidate)) for candidate in seen]
    hopeful = [verdict.candidate for verdict in verdicts if verdict.reason is None]
    if hopeful:
        past = await history.read(connection, hopeful, situations, known)
        settled = iter(await _settle(connection, hopeful, past))
        verdicts = [next(settled) if v.reason is None else v for v in verdicts]
    granted = [Granted() for _ in situations]
    for verdict in verdicts:
        granted[verdict.candidate.ordinal].decisions.append(_decision(verdict))
    won = [verdict.candidate for verdict in verdicts if verdict.reason is None]
    issued = [_issue(candidate, context) for candidate in won]
    for candidate, coupon in zip(won, issued, strict=True):
        granted[candidate.ordinal].coupons.append(coupon.shown)
    return Grants(granted, repository.writing(issued))


async def _settle(
    connection: AsyncConnection, hopeful: Sequence[Candidate], past: Past
) -> list[Verdict]:
    """Decide, take the units that this asks for, and decide again with those that there were."""
    first = decide(hopeful, past)
    offers = [verdict.candidate.offer for verdict in first if verdict.reason is None]
    if not offers:
        return first
    wanted = Counter((offer.offer_id, offer.version) for offer in offers)
    taken = await repository.take(connection, [(*offer, n) for offer, n in wanted.items()])
    units = {offer_id: given.units for offer_id, given in taken.items()}
    return [_explain(verdict, taken) for verdict in decide(hopeful, past, units)]


def _explain(verdict: Verdict, taken: Mapping[str, Taken]) -> Verdict:
    """No unit came of an offer that was paused, ended or changed a moment ago: say so."""
    offer_id = verdict.candidate.offer.offer_id
    if verdict.reason is Reason.STOCK_OUT and not taken[offer_id].granting:
        return Verdict(verdict.candidate, Reason.NOT_ACTIVE)
    return verdict


def _issue(candidate: Candidate, context: GrantContext) -> NewCoupon:
    coupon = _coupon(candidate, context)
    return NewCoupon(
        shown=coupon,
        subject_id=candidate.situation.subject_id,
        grant_key=candidate.presence.visit_id or coupon.check_in_id,
        code=context.storage.encrypt(coupon.code.encode(), coupon.coupon_id.bytes),
        code_hash=code_hash(lookup_key(context.storage), coupon.code),
        occurred_at=candidate.situation.occurred_at,
        evidence=_evidence(candidate),
    )


def _coupon(candidate: Candidate, context: GrantContext) -> GrantedCoupon:
    offer, presence = candidate.offer, candidate.presence
    return GrantedCoupon(
        coupon_id=context.new_id(),
        offer_id=offer.offer_id,
        offer_version=offer.version,
        store_id=presence.store_id,
        visit_id=presence.visit_id,
        check_in_id=candidate.situation.check_in_id,
        title=offer.title,
        code=new_code(),
        benefit=offer.benefit,
        valid_until=context.now + offer.valid_for,
        granted_at=context.now,
    )


def _evidence(candidate: Candidate) -> dict[str, object]:
    """The verdict that won the coupon; it outlives the coordinates and holds none."""
    presence, situation = candidate.presence, candidate.situation
    return {
        "geofence_id": presence.geofence_id,
        "geofence_version": presence.geofence_version,
        "confidence": presence.confidence,
        "evidence": presence.evidence.value,
        "trust": situation.trust,
        "kind": situation.kind,
        "received_at": situation.received_at.isoformat(),
    }


def _decision(verdict: Verdict) -> Decision:
    offer, reason = verdict.candidate.offer, verdict.reason
    return Decision(
        offer_id=offer.offer_id,
        offer_version=offer.version,
        store_id=verdict.candidate.presence.store_id,
        granted=reason is None,
        reason=reason,
    )

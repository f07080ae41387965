"""Writing a decided group: check-ins, visits, subjects, answers and events, a statement each."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from uuid import UUID

import orjson

from services.geo_api.checkins import repository
from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.repository import Key, NewCheckIn, NewReceipt
from services.geo_api.checkins.service.exact import coarse_cell, seal_exact
from services.geo_api.checkins.service.last_fix import last_seen
from services.geo_api.checkins.service.outcome import Decided, Outcome, Tools
from services.geo_api.checkins.service.receipts import sealed
from services.geo_api.checkins.service.stays import settled
from services.geo_api.feeding import tell
from services.geo_api.invitations.service import ShownInvitation
from services.geo_api.offers.domain import GrantedCoupon
from services.geo_api.outreach.service import Won, planning
from services.geo_api.presence import repository as presence
from services.geo_api.presence.events import visit_events
from services.geo_api.presence.track import Track
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.telling import identity_observed
from services.geo_api.trust import repository as sightings
from shared.contracts.events import EventType
from shared.direct import Statement
from shared.feed.outbox import PreparedEvent, enqueuing
from shared.identity import Identity
from shared.sealing import SealingKey, StorageKey


async def statements(tools: Tools, decided: Decided) -> list[Statement]:
    """All that a group decided, and its events, ready to be written together."""
    outcomes = decided.outcomes
    days = {outcome.check_in.received_at.date() for outcome in outcomes}
    day_keys = {day: await tools.day_keys.prepare(day) for day in days}  # two around midnight
    exact = {o.check_in.key: _sealed_place(o.check_in, day_keys) for o in outcomes}
    visits = settled(change for outcome in outcomes for change in outcome.changes)
    return [
        repository.writing([_row(o, exact, tools.rule.name) for o in outcomes]),
        repository.writing_receipts([_receipt(o, day_keys) for o in outcomes]),
        *presence.beginning(visits.begun),
        *presence.changing(visits.changed),
        *presence.removing(visits.gone),
        *presence.naming([*_aliases(decided.tracks)]),
        *subjects.touching(_seen(decided, exact)),
        *sightings.noting(
            [(o.sighted_as, o.check_in.subject_id) for o in outcomes if o.sighted_as is not None],
            max(outcome.check_in.received_at for outcome in outcomes),
        ),
        *enqueuing(tools.feed_tables, [*_events(tools.keys.sealing, outcomes, decided.told)]),
        *planning(tools.writers, _won(outcomes)),
    ]


KeysByDay = Mapping[date, StorageKey]
SealedPlaces = Mapping[Key, bytes | None]


def _sealed_place(check_in: CheckIn, day_keys: KeysByDay) -> bytes | None:
    return seal_exact(check_in, day_keys[check_in.received_at.date()])


def _row(outcome: Outcome, exact: SealedPlaces, rule: str) -> NewCheckIn:
    check_in, verdict = outcome.check_in, outcome.verdict
    consent, trust = outcome.consent, outcome.trust
    return NewCheckIn(
        check_in.subject_id,
        check_in.check_in_id,
        check_in.received_at,
        check_in.occurred_at,
        check_in.kind,
        check_in.evidence,
        trust.score,
        ",".join(trust.flags),
        check_in.datum,
        check_in.accuracy_m,
        exact[check_in.key],
        coarse_cell(check_in),
        ",".join(sorted(verdict.arrives)),
        ",".join(sorted(verdict.tentative)),
        ",".join(sorted(verdict.uncertain)),
        rule,
        outcome.counts,
        orjson.dumps(dict(check_in.signals)).decode(),
        consent.purpose,
        consent.version,
        consent.given_at,
        check_in.source,
    )


def _receipt(outcome: Outcome, day_keys: KeysByDay) -> NewReceipt:
    check_in, answer = outcome.check_in, outcome.answer
    assert answer is not None  # noqa: S101 - every outcome that is written was answered
    kept = sealed(check_in, answer, day_keys[check_in.received_at.date()])
    return NewReceipt(*check_in.key, check_in.request_hash, check_in.received_at, kept)


def _aliases(tracks: Mapping[UUID, Track]) -> Iterator[tuple[UUID, UUID, UUID]]:
    for subject, track in tracks.items():
        for former, present in track.aliases.items():
            yield subject, former, present


def _seen(decided: Decided, exact: SealedPlaces) -> list[subjects.Seen]:
    """What each subject's row has to remember; by the order of occurrence the last one stands."""
    latest = {outcome.check_in.subject_id: outcome.check_in for outcome in decided.outcomes}
    seen = []
    for subject, check_in in latest.items():
        state, maybe = decided.states[subject], decided.tracks[subject].stays.maybe
        known = state.last_occurred_at
        is_last = known is None or check_in.occurred_at >= known
        seen.append(
            subjects.Seen(
                subject,
                check_in.occurred_at,
                check_in.received_at,
                told=subject in decided.told,
                erased_at=state.erased_at,
                last=last_seen(check_in, exact[check_in.key]) if is_last else None,
                maybe=orjson.dumps(maybe).decode() if maybe else None,
            )
        )
    return seen


def _events(
    sealing: SealingKey, outcomes: Sequence[Outcome], told: Mapping[UUID, Identity]
) -> Iterator[PreparedEvent]:
    first = {o.check_in.subject_id: o.check_in for o in reversed(outcomes)}
    for subject, identity in told.items():
        yield identity_observed(sealing, subject, identity, first[subject].received_at)
    for outcome in outcomes:
        yield _check_in(outcome)
        yield from visit_events(outcome.changes, outcome.check_in.received_at)
        for coupon in outcome.coupons:
            yield _coupon_granted(outcome.check_in, coupon)
        if outcome.invitation is not None:
            yield _invitation_shown(outcome, outcome.invitation)


def _check_in(outcome: Outcome) -> PreparedEvent:
    check_in, consent = outcome.check_in, outcome.consent
    verdict = outcome.verdict
    inside = [*verdict.proven, *(m.fence.store_id for m in verdict.matches if m.inside)]
    return tell(
        EventType.CHECK_IN,
        check_in.subject_id,
        str(check_in.check_in_id),
        time=check_in.occurred_at,
        received_at=check_in.received_at,
        store_id=outcome.verdict.deepest_store,
        data={
            "check_in_id": str(check_in.check_in_id),
            "kind": check_in.kind,
            "store_ids": list(dict.fromkeys(inside)),
            "accuracy_m": check_in.accuracy_m,
            "datum": check_in.datum,
            "source": check_in.source,
            "consent": {
                "purpose": consent.purpose,
                "version": consent.version,
                "given_at": consent.given_at,
            },
        },
    )


def _coupon_granted(check_in: CheckIn, coupon: GrantedCoupon) -> PreparedEvent:
    return tell(
        EventType.COUPON_GRANTED,
        check_in.subject_id,
        str(coupon.coupon_id),
        time=coupon.granted_at,
        received_at=check_in.received_at,
        store_id=coupon.store_id,
        data={
            "coupon_id": str(coupon.coupon_id),
            "offer_id": coupon.offer_id,
            "offer_version": coupon.offer_version,
            "title": coupon.title,
            "visit_id": None if coupon.visit_id is None else str(coupon.visit_id),
            "check_in_id": str(coupon.check_in_id),
            "valid_until": coupon.valid_until,
        },
    )


def _won(outcomes: Sequence[Outcome]) -> Iterator[Won]:
    for outcome in outcomes:
        for coupon in outcome.coupons:
            yield Won(outcome.check_in.subject_id, outcome.check_in.identity, coupon)


def _invitation_shown(outcome: Outcome, invitation: ShownInvitation) -> PreparedEvent:
    check_in = outcome.check_in
    return tell(
        EventType.INVITATION_SHOWN,
        check_in.subject_id,
        str(check_in.check_in_id),
        time=check_in.received_at,
        received_at=check_in.received_at,
        store_id=outcome.verdict.deepest_store,
        data={"check_in_id": str(check_in.check_in_id), "campaign": invitation.campaign},
    )

"""The wire form of an answer, built once and stored as it is sent."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from services.geo_api.checkins.domain import Answer, CheckIn, CheckInStatus
from services.geo_api.checkins.service import explaining
from services.geo_api.checkins.service.likelihood import place
from services.geo_api.checkins.service.outcome import Outcome
from services.geo_api.evidence.domain import OF_GRADE
from services.geo_api.invitations.service import ShownInvitation
from services.geo_api.offers.domain import Decision, GrantedCoupon
from services.geo_api.presence.domain import Change, Transition
from services.geo_api.presence.matching import FenceMatch
from services.geo_api.presence.rule import ArrivalRule
from services.geo_api.presence.verdict import Verdict
from services.geo_api.subjects.domain import NotRecorded


def accepted(outcome: Outcome, rule: ArrivalRule) -> Answer:
    body = {
        "check_in": {
            **_check_in(outcome.check_in, CheckInStatus.ACCEPTED, None),
            "trust": {"score": outcome.trust.score, "signals": outcome.trust.flags},
        },
        "matches": [*_matches(outcome)],
        "place": place(outcome),
        "visits": [*map(_visit, outcome.changes)],
        "coupons": [*map(_coupon, outcome.coupons)],
        "invitation": _invitation(outcome.invitation),
    }
    explanation = {
        **explaining.presence(outcome.verdict, outcome.check_in.accuracy_m, rule),
        "decisions": [*map(_decision, outcome.decisions)],
        "doubts": [doubt.as_record() for doubt in outcome.trust.doubts],
    }
    return Answer(201, _json(body), _json(explanation))


def not_recorded(
    check_in: CheckIn,
    verdict: Verdict,
    reason: NotRecorded,
    invitation: ShownInvitation | None,
) -> Answer:
    body = {
        "check_in": {**_check_in(check_in, CheckInStatus.NOT_RECORDED, reason), "trust": None},
        "matches": [
            *_proven(check_in, None),
            *(_match(check_in, m, None) for m in verdict.matches),
        ],
        "place": None,
        "visits": [],
        "coupons": [],
        "invitation": _invitation(invitation),
    }
    return Answer(200, _json(body), b'{"decisions":[]}')


def _json(value: object) -> bytes:
    """JSON. Ids are given as texts: orjson calls Python for each of the driver's kind."""
    return orjson.dumps(value)


def _check_in(
    check_in: CheckIn, status: CheckInStatus, reason: NotRecorded | None
) -> Mapping[str, Any]:
    return {"id": str(check_in.check_in_id), "status": status, "reason": reason}


def _matches(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """The store that evidence proves, then the geofences, by distance.

    Their confidence is what offers go by: an earlier fix may bear this one out.
    """
    check_in, proven = outcome.check_in, outcome.verdict.proven
    if check_in.proof is not None:
        yield from _proven(check_in, outcome.transitions.get(check_in.proof.store_id))
    borne_out = {p.store_id: p.confidence for p in outcome.presences if p.store_id not in proven}
    for match, transition in outcome.matches:
        least = borne_out.get(match.fence.store_id, 0) if match.inside else 0
        confidence = max(match.confidence, least)
        yield {**_match(check_in, match, transition), "confidence": confidence}


def _proven(check_in: CheckIn, transition: Transition | None) -> Iterator[dict[str, Any]]:
    proof = check_in.proof
    if proof is not None:
        yield {
            "store_id": proof.store_id,
            "geofence_id": None,
            "geofence_version": None,
            "inside": True,
            "distance_m": None,
            "overlap": None,
            "share": None,
            "confidence": proof.confidence,
            "evidence": proof.evidence,
            "transition": transition,
        }


def _match(check_in: CheckIn, match: FenceMatch, transition: Transition | None) -> dict[str, Any]:
    return {
        "store_id": match.fence.store_id,
        "geofence_id": match.fence.geofence_id,
        "geofence_version": match.fence.version,
        "inside": match.inside,
        "distance_m": match.distance_m,
        "overlap": round(match.overlap, 4),
        "share": round(match.share, 4),
        "confidence": match.confidence,
        "evidence": OF_GRADE[check_in.grade],
        "transition": transition,
    }


def _visit(change: Change) -> dict[str, Any]:
    """A changed visit; one that late fixes dissolved into another has state ``retracted``."""
    visit = change.after or change.before
    assert visit is not None  # noqa: S101 - one of the two stands in every change
    return {
        "id": str(visit.visit_id),
        "store_id": visit.store_id,
        "state": visit.state if change.after else "retracted",
        "entered_at": visit.entered_at,
        "last_inside_at": visit.last_inside_at,
        "left_at": visit.left_at,
        "closed_by": visit.closed_by,
    }


def _coupon(coupon: GrantedCoupon) -> dict[str, Any]:
    return {
        "id": str(coupon.coupon_id),
        "offer_id": coupon.offer_id,
        "title": coupon.title,
        "code": coupon.code,
        "store_id": coupon.store_id,
        "benefit": dict(coupon.benefit),
        "valid_until": coupon.valid_until,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "offer_id": decision.offer_id,
        "offer_version": decision.offer_version,
        "store_id": decision.store_id,
        "granted": decision.granted,
        "reason": decision.reason,
    }


def _invitation(invitation: ShownInvitation | None) -> dict[str, Any] | None:
    if invitation is None:
        return None
    return {
        "token": invitation.token,
        "url": invitation.url,
        "expires_at": invitation.expires_at,
    }

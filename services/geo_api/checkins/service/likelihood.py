"""Which of several stores around a fix the person is likeliest in."""

from collections.abc import Collection
from typing import Any

from services.geo_api.checkins.service.outcome import FencesInForce, Outcome
from services.geo_api.presence.ranking import Near, Ranking, Verdict, rank


def likeliest(
    outcome: Outcome, fences: FencesInForce, present: Collection[str] = ()
) -> Ranking | None:
    """The stores of the matches by likelihood; None where fewer than two compete.

    ``present`` are the stores with a visit going on before this fix.
    """
    matches = outcome.verdict.matches
    stores = {match.fence.store_id for match in matches}
    accuracy_m = outcome.check_in.accuracy_m
    if len(stores) < 2 or accuracy_m is None:  # noqa: PLR2004 - one alone competes with nobody
        return None
    at = outcome.check_in.occurred_at
    known = (store_id for store_id in stores if store_id in fences.stores)
    closed = {store_id for store_id in known if not fences.stores[store_id].is_open(at)}
    near = [
        Near(
            match.fence.store_id,
            match.fence.geofence_id,
            match.distance_m,
            match.share,
            match.fence.shape.inradius_m,
        )
        for match in matches
    ]
    return rank(near, accuracy_m, closed=closed, present=present)


def place(outcome: Outcome) -> dict[str, Any] | None:
    """For the answer: the one store the person is likeliest in; null without any.

    What evidence proves leaves no doubt.
    """
    proof, ranking = outcome.check_in.proof, outcome.ranking
    store_id = outcome.verdict.deepest_store if proof is None else proof.store_id
    if proof is None and ranking is not None:
        return {
            "store_id": ranking.winner,
            "verdict": ranking.verdict,
            "candidates": [
                {"store_id": c.store_id, "likelihood": round(c.probability, 4)}
                for c in ranking.candidates
            ],
        }
    if store_id is None:
        return None
    only = {"store_id": store_id, "likelihood": 1.0}
    return {"store_id": store_id, "verdict": Verdict.ONLY, "candidates": [only]}

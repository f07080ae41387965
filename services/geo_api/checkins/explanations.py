"""Why a check-in was answered as it was: every fence considered, every rule, every number."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel
from sqlalchemy import RowMapping

from services.geo_api.checkins import repository
from services.geo_api.checkins.schemas import ConsideredOut, DecisionOut, DoubtOut
from services.geo_api.checkins.service.exact import open_exact
from services.geo_api.checkins.service.receipts import opened
from services.geo_api.presence.rule import RULES
from services.geo_api.presence.verdict import CHOSEN_POINT, VAGUE
from services.geo_api.subjects.naming import Whose
from shared.access import allow
from shared.auth import Principal, Role
from shared.datum import Datum, convert
from shared.db import Session
from shared.errors import Forbidden, Gone, Malformed, NotFound
from shared.problems import documented
from shared.sealing import StorageKey

router = APIRouter(prefix="/v1/check-ins", tags=["check-ins"])


class CheckInUnknown(NotFound):
    slug = "check-in-unknown"
    title = "There is no such check-in of this person"


class ExplanationGone(Gone):
    """Distances and decisions live for seven days from the receipt of a check-in."""

    slug = "explanation-gone"
    title = "The explanation has been deleted"


class TrustOut(BaseModel):
    score: int
    doubts: list[DoubtOut]


class StandingsOut(BaseModel):
    """The stores at which the fix arrives, is inside but waits for a second one, or is in doubt.

    ``*`` among the uncertain: the fix is too coarse to say of any store that it is outside. A store
    that is among the uncertain though it arrives has no geofence: no fix will say that it was left.
    """

    arrives: list[str]
    tentative: list[str]
    uncertain: list[str]


class ConsentOut(BaseModel):
    purpose: str
    version: str
    given_at: datetime


class ExplanationOut(BaseModel):
    """All that went into an answer, but for the coordinates.

    ``answer`` is the body as it was given, ``rule`` the rule of arrival with its numbers (seconds, metres), ``datum`` how the pair was
    brought to WGS 84 (null without coordinates). ``counts`` is false for a fix that came too late
    to change visits. ``considered`` are all geofences near to it, ``clear_beyond_m`` from their edge
    it would have been outside; ``decisions`` are the offers considered.
    """

    answer: dict[str, Any]
    kind: str
    evidence: str
    source: str
    occurred_at: datetime
    received_at: datetime
    accuracy_m: float | None
    datum: dict[str, Any] | None
    signals: dict[str, Any]
    consent: ConsentOut
    rule: dict[str, Any]
    counts: bool
    considered: list[ConsideredOut]
    clear_beyond_m: float | None
    stores: StandingsOut
    trust: TrustOut
    decisions: list[DecisionOut]


_MARKS = frozenset({VAGUE, CHOSEN_POINT})
"""They stand for what ``accuracy_m``, ``rule`` and ``evidence`` tell."""


@router.get(
    "/{check_in_id}/explanation",
    responses=documented(Malformed, Forbidden, CheckInUnknown, ExplanationGone),
)
async def explain_check_in(
    *,
    request: Request,
    session: Session,
    check_in_id: Annotated[UUID, Path(description="the id that the caller gave it")],
    _caller: Annotated[Principal, allow(Role.SERVER, Role.MEMBER)],
    whose: Whose,
) -> ExplanationOut:
    """What was considered for a check-in, and why it was decided so; for seven days.

    A member sees its own, a server that of the person it names. Coordinates are not shown.
    """
    key, connection = (whose, check_in_id), await session.connection()
    receipt = (await repository.read_receipts(connection, [key])).get(key)
    if receipt is None:
        raise CheckInUnknown("Look at the id, and at whom the check-in was about.")
    day_key = await request.app.state.day_keys.find(receipt.received_at.date())
    row = await repository.read(connection, key, receipt.received_at)
    if receipt.reduced is not None or day_key is None or row is None:
        raise ExplanationGone("It was kept for seven days; the visit and the timeline still stand.")
    answer = opened(*key, receipt, day_key, 200)
    return _explained(row, answer.body, orjson.loads(answer.explanation), _datum(row, key, day_key))


def _explained(
    row: RowMapping, body: bytes, why: Mapping[str, Any], datum: dict[str, Any] | None
) -> ExplanationOut:
    same = ("kind", "evidence", "source", "occurred_at", "received_at", "accuracy_m", "counts")
    return ExplanationOut(
        **{name: row[name] for name in same},
        answer=orjson.loads(body),
        datum=datum,
        signals=row["signals"] or {},
        consent=ConsentOut(
            purpose=row["consent_purpose"],
            version=row["consent_version"],
            given_at=row["consent_given_at"],
        ),
        rule=_rule(row["rule"]),
        considered=why["considered"],
        clear_beyond_m=why["clear_beyond_m"],
        stores=StandingsOut(
            arrives=row["arrives"],
            tentative=row["tentative"],
            uncertain=[store for store in row["uncertain"] if store not in _MARKS],
        ),
        trust=TrustOut(score=row["trust"], doubts=why["doubts"]),
        decisions=why["decisions"],
    )


def _rule(name: str) -> dict[str, Any]:
    """The rule by that name with its numbers; the name alone where it is none of today's."""
    known = next((rule for rule in RULES.values() if rule.name == name), None)
    if known is None:
        return {"name": name}
    return {
        term: value.total_seconds() if isinstance(value, timedelta) else value
        for term, value in asdict(known).items()
    }


def _datum(row: RowMapping, key: tuple[UUID, UUID], day: StorageKey) -> dict[str, Any] | None:
    """How the received pair was converted, in whole metres."""
    if row["exact"] is None:
        return None
    latitude, longitude, *_ = open_exact(row["exact"], day, *key)
    return convert(longitude, latitude, Datum(row["datum"])).as_record()

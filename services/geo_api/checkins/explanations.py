"""Why a check-in was answered as it was: every fence considered, every rule, every number."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict

from services.geo_api.checkins import repository
from services.geo_api.checkins.service.receipts import opened
from services.geo_api.subjects.naming import Whose
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Forbidden, Gone, Malformed, NotFound
from shared.problems import documented

router = APIRouter(prefix="/v1/check-ins", tags=["check-ins"])


class CheckInUnknown(NotFound):
    slug = "check-in-unknown"
    title = "There is no such check-in of this person"


class ExplanationGone(Gone):
    """Distances and decisions live for seven days from the receipt of a check-in."""

    slug = "explanation-gone"
    title = "The explanation has been deleted"


class ExplanationOut(BaseModel):
    """``answer`` is the body that was given; what explains it stands beside it."""

    model_config = ConfigDict(extra="allow")

    answer: dict[str, Any]
    decisions: list[dict[str, Any]]


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
    key = whose, check_in_id
    found = await repository.read_receipts(await session.connection(), [key])
    if key not in found:
        raise CheckInUnknown("Look at the id, and at whom the check-in was about.")
    receipt = found[key]
    day_key = await request.app.state.day_keys.find(receipt.received_at.date())
    if receipt.reduced is not None or day_key is None:
        raise ExplanationGone("It was kept for seven days; the visit and the timeline still stand.")
    answer = opened(*key, receipt, day_key, 200)
    return ExplanationOut(answer=orjson.loads(answer.body), **orjson.loads(answer.explanation))

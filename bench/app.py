"""geo_api with yardsticks beside it, so that all are measured in one process."""

from typing import Annotated

import orjson
from fastapi import FastAPI, Request, Response
from sqlalchemy import text

from services.geo_api.app import create_app as create_geo_app
from services.geo_api.checkins.endpoints import CALLERS, read_body
from services.geo_api.checkins.schemas import AnswerOut, CheckInIn
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.short_way import ShortRoute, read_whole

# The columns of a plain check-in table, as durable as the real ones, indexed by its key alone.
CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS geo.bench_check_ins (
        subject text, check_in_id uuid, kind text, latitude float8, longitude float8,
        accuracy_m float8, occurred_at timestamptz, received_at timestamptz DEFAULT now(),
        PRIMARY KEY (subject, check_in_id))
"""

_INSERT = text("""
    INSERT INTO geo.bench_check_ins
        (subject, check_in_id, kind, latitude, longitude, accuracy_m, occurred_at)
    VALUES (:subject, :id, :kind, :latitude, :longitude, :accuracy_m, :occurred_at)
""")

Caller = Annotated[Principal, allow(Role.SERVER)]


def create_app() -> FastAPI:
    app = create_geo_app()
    app.add_api_route(
        "/bench/parse",
        parse_only,
        methods=["POST"],
        status_code=201,
        response_model=AnswerOut,
    )
    app.router.add_api_route(
        "/bench/parse-lightly",
        parse_only,
        methods=["POST"],
        status_code=201,
        response_model=AnswerOut,
        route_class_override=LightlyParsed,
    )
    app.add_api_route(
        "/bench/insert",
        insert_one,
        methods=["POST"],
        status_code=201,
        response_model=AnswerOut,
    )
    app.router.routes[:0] = [app.router.routes.pop() for _ in range(3)]  # as quickly found
    return app


class LightlyParsed(ShortRoute):
    """Serves ``parse_only`` as ``CheckInRoute`` serves the real endpoint."""

    async def answer(self, request: Request) -> Response:
        caller = await CALLERS.dependency(request)
        return await parse_only(read_body(await read_whole(request)), caller)


async def parse_only(body: CheckInIn, _caller: Caller) -> Response:
    """Reads the same body under the same rules, and answers in the same form."""
    return _answer(body)


async def insert_one(body: CheckInIn, session: Session, _caller: Caller) -> Response:
    """What a plain service does: one INSERT in one transaction for each request."""
    subject = body.subject
    await session.execute(
        _INSERT,
        {
            "subject": subject.value if subject else "",
            "id": body.id,
            "kind": body.kind.value,
            "latitude": body.latitude,
            "longitude": body.longitude,
            "accuracy_m": body.accuracy_m,
            "occurred_at": body.occurred_at,
        },
    )
    return _answer(body)


def _answer(body: CheckInIn) -> Response:
    answer: dict[str, object] = {
        "check_in": {"id": body.id, "status": "accepted", "reason": None},
        "matches": [],
        "visits": [],
        "coupons": [],
        "invitation": None,
    }
    return Response(orjson.dumps(answer), status_code=201, media_type="application/json")

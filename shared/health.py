"""``/healthz``, ``/readyz`` and ``/metrics``: what tells an operator the truth."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from shared.access import public
from shared.db import Database
from shared.errors import Unavailable
from shared.problems import documented
from shared.telemetry import METRICS_MEDIA_TYPE, render_metrics

CHECK_TIMEOUT_S = 2.0

Check = Callable[[], Awaitable[str | None]]
"""Gives None when all is well, else what is wrong, in words fit for strangers."""

_log = structlog.get_logger(__name__)


class NotReady(Unavailable):
    """The service runs, but cannot answer yet; ``checks`` says for each part what is wrong."""

    slug = "not-ready"
    title = "Not ready"


def install_health(app: FastAPI) -> None:
    """Add the endpoints; readiness asks every check in ``app.state.readiness`` at once."""
    if not hasattr(app.state, "readiness"):
        app.state.readiness = {}
    router = APIRouter(dependencies=[public()], tags=["operations"])
    router.add_api_route("/healthz", _healthz)
    router.add_api_route("/readyz", _readyz, responses=documented(NotReady))
    router.add_api_route("/metrics", _metrics, response_class=Response)
    app.include_router(router)


def answers(database: Database) -> Check:
    """The check that the database does; without it the reason is its error's name."""

    async def check() -> str | None:
        try:
            async with database.begin() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            return f"does not answer ({type(error).__name__})"
        return None

    return check


async def _healthz() -> dict[str, str]:
    """The process runs and answers."""
    return {"status": "ok"}


async def _readyz(request: Request) -> dict[str, str]:
    """Everything this service needs is there. 503 names what is not."""
    checks: dict[str, Check] = request.app.state.readiness
    found = await asyncio.gather(*(_ask(name, check) for name, check in checks.items()))
    failed = {name: reason for name, reason in zip(checks, found, strict=True) if reason}
    if failed:
        names = ", ".join(failed)
        raise NotReady(f"Not ready: {names}.", checks=failed)
    return {"status": "ready"}


async def _ask(name: str, check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"did not answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - a check that fails in any way is a check that fails
        _log.warning("readiness_check_failed", check=name, exc_info=error)
        return "failed; see the logs"


async def _metrics() -> Response:
    """Metrics in Prometheus's text format."""
    return Response(await asyncio.to_thread(render_metrics), media_type=METRICS_MEDIA_TYPE)

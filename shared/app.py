"""How each service begins: the same application, before its own parts are put into it."""

import httpx
from fastapi import FastAPI
from starlette.types import Lifespan

from shared.clock import Clock
from shared.http import APP_OPTIONS
from shared.settings import ServiceSettings

VERSION = "0.1.0"


def new_app(
    service: str,
    summary: str,
    settings: ServiceSettings,
    lifespan: Lifespan[FastAPI],
    *,
    transport: httpx.AsyncBaseTransport | None,
    clock: Clock,
) -> FastAPI:
    """``service`` without routers. ``transport`` reaches the other service, None by the network.

    The caller includes its routers and then calls :func:`shared.http.instrument`.
    """
    app = FastAPI(
        title=f"SOLOMO {service}",
        version=VERSION,
        summary=summary,
        lifespan=lifespan,
        **APP_OPTIONS,
    )
    app.state.settings = settings
    app.state.transport = transport
    app.state.clock = clock
    app.state.limiter = settings.limiter()
    app.state.readiness = {}
    return app

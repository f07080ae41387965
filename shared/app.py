"""How each service begins: the same application, before its own parts are put into it."""

from typing import Any

import httpx
from fastapi import FastAPI
from starlette.datastructures import State
from starlette.types import ASGIApp, Lifespan

from shared.clock import Clock
from shared.http import APP_OPTIONS, Platform
from shared.settings import ServiceSettings

VERSION = "0.1.0"


class ServiceState(State):
    """``app.state`` whose attributes are found as any object's: a request looks up ten of them.

    Starlette's asks for each in Python, once the ordinary way has failed: 0.4 µs.
    """

    def __init__(self) -> None:
        super().__init__(self.__dict__)


class Service(FastAPI):
    """An application around which the platform stands outermost.

    Starlette puts its last resort for errors around whatever is added, FastAPI what tells errors
    to telemetry and what limits bodies. The platform does the first and the last, and the telemetry
    is off; passing through all three took one twentieth of what a check-in costs to read and answer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**APP_OPTIONS, **options)
        self.state = ServiceState()

    def build_middleware_stack(self) -> ASGIApp:
        stack: Any = super().build_middleware_stack()
        while not isinstance(stack, Platform):
            stack = stack.app
        return stack


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
    app = Service(title=f"SOLOMO {service}", version=VERSION, summary=summary, lifespan=lifespan)
    app.state.settings = settings
    app.state.transport = transport
    app.state.clock = clock
    app.state.limiter = settings.limiter()
    app.state.readiness = {}
    return app

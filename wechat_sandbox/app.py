"""The stand-in as an ASGI application: WeChat's addresses, and ``/sandbox`` to direct them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from shared.docs_page import install_docs_page
from wechat_sandbox.answering import ENDPOINTS, ConnectionCut, Endpoint, answer
from wechat_sandbox.api_of_codes import picture
from wechat_sandbox.clock import Clock
from wechat_sandbox.control import router
from wechat_sandbox.making import Maker
from wechat_sandbox.pushing import Pusher, PushSettings
from wechat_sandbox.refusals import NotPossible
from wechat_sandbox.world import World

_CONNECTIONS = httpx.Limits(max_connections=200, max_keepalive_connections=50)


def create_app(
    *,
    seed: str = "1",
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    settings: PushSettings | None = None,
    hosts: Sequence[str] = ("*",),
) -> FastAPI:
    """An application with nothing in it yet.

    ``transport`` reaches the callbacks, for tests within one process; ``hosts`` are the names that
    requests may call this one by, which keeps web pages from reaching it by a name of theirs.
    ``app.state.world`` is what it knows, at hand for tests.
    """
    clock = clock or Clock()
    maker = Maker(seed)
    client = httpx.AsyncClient(
        transport=transport, limits=_CONNECTIONS, follow_redirects=False, trust_env=False
    )
    pusher = Pusher(client, clock, maker, settings)
    app = FastAPI(
        title="A stand-in for WeChat",
        description=__doc__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.client = client
    app.state.world = World(maker=maker, clock=clock, pusher=pusher)
    app.include_router(router)
    for endpoint in ENDPOINTS:
        app.add_route(endpoint.path, _route(endpoint), methods=["GET", "POST"])
    app.add_route("/cgi-bin/showqrcode", _show_qr_code, methods=["GET"])
    app.add_exception_handler(NotPossible, _not_possible)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    install_docs_page(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.world.pusher.stop()
    await app.state.client.aclose()


def _route(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return await answer(request.app.state.world, endpoint, request)

    return handle


async def _show_qr_code(request: Request) -> Response:
    """The image behind a ticket; 404 for one that is unknown or expired."""
    code = request.app.state.world.scenes.by_ticket(request.query_params.get("ticket", ""))
    image = picture(code.url)
    return Response(image.content, media_type=image.media_type)


async def _not_possible(request: Request, error: Exception) -> Response:
    status = 404 if request.url.path == "/cgi-bin/showqrcode" else 409
    return JSONResponse({"detail": str(error)}, status_code=status)


class InProcess(httpx.AsyncBaseTransport):
    """Reaches the stand-in without a socket; what it cuts is cut for the client, too."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._transport.handle_async_request(request)
        except ConnectionCut as cut:
            raise httpx.RemoteProtocolError("the connection was cut", request=request) from cut

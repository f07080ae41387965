"""The short way of a request to a busy endpoint, past the framework's stack.

Between :class:`shared.http.Platform` and a route lie, at every request, the middleware of errors,
three stacks of what is to be closed, the matching of the address against the routers, and a
wrapper around ``send`` for most of these. For an endpoint that needs none of it they cost more
than all that it does itself.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope

_ErrorHandler = Callable[[Request, Exception], Awaitable[Response]]


class ShortRoute(APIRoute):
    """A route whose requests the platform hands to :meth:`answer` itself.

    It stands in the app like any other, which documents it and reads its roles off its signature;
    served from there, as it is by whoever leaves the platform out, it answers the same. Its address has
    no parameters, nothing of it is to be closed afterwards, and no dependency of it can be
    overridden: ``answer`` gives the endpoint what its signature asks for.
    """

    async def answer(self, request: Request) -> Response:
        """The whole answer, in one piece. What is raised becomes a problem as everywhere."""
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Any]:
        return self.answer


class ShortWay:
    """From the platform to one route. Raises what no handler of the app makes an answer of."""

    __slots__ = ("_answer", "_handlers", "_route")

    def __init__(self, route: ShortRoute, handlers: Mapping[Any, Any]) -> None:
        self._route = route
        self._answer = route.answer
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive) -> Response:
        scope["route"] = self._route
        request = Request(scope, receive)
        try:
            return await self._answer(request)
        except Exception as error:
            handler = self._handler_of(error)
            if handler is None:
                raise
            response = await handler(request, error)
            error.__traceback__ = None  # some refusals are made once and raised again and again
            return response

    def _handler_of(self, error: Exception) -> _ErrorHandler | None:
        """As Starlette looks for it: by the error's types, the narrowest first."""
        found = (self._handlers.get(kind) for kind in type(error).__mro__ if kind is not Exception)
        return next(filter(None, found), None)


def short_ways(app: FastAPI) -> Mapping[tuple[str, str], ShortWay]:
    """By method and path, of all the routers that ``app`` has by now."""
    ways: dict[tuple[str, str], ShortWay] = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, ShortRoute):
            way = ShortWay(route, cast("Mapping[Any, Any]", app.exception_handlers))
            ways |= {(method, str(context.path)): way for method in context.methods or ()}
    return ways


async def read_whole(request: Request) -> bytes:
    """The body, as ``request.body()`` gives it, at less cost where it came in one piece.

    Raises ClientDisconnect.
    """
    body = b""
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body

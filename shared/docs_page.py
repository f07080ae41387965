"""``/docs``: the interface to read and to try out, with nothing loaded from elsewhere.

Swagger UI comes from a package. FastAPI's own page loads it from a CDN, which would run a
stranger's code beside an operator's token, and shows nothing on a machine without the internet.
"""

import json
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

PAGE = "/docs"

_STYLE, _PROGRAM, _START = "swagger-ui.css", "swagger-ui-bundle.js", "start.js"
_OPTIONS: dict[str, Any] = {
    "url": "openapi.json",
    "dom_id": "#interface",
    "deepLinking": True,
    "defaultModelsExpandDepth": 0,
    "displayRequestDuration": True,
    "tryItOutEnabled": True,
    "validatorUrl": None,
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
# All addresses are relative to the page's, so that it also works below a proxy's prefix.
_HTML = (
    "<!doctype html><html lang=en><meta charset=utf-8>"
    "<meta name=viewport content='width=device-width'>"
    "<title>{title}</title><link rel=icon href='data:,'>"
    f"<link rel=stylesheet href=docs/{_STYLE}>"
    "<div id=interface><noscript>This page needs JavaScript. The same stands in "
    "<a href=openapi.json>openapi.json</a>.</noscript></div>"
    f"<script src=docs/{_PROGRAM}></script><script src=docs/{_START}></script></html>"
)


def install_docs_page(app: FastAPI) -> None:
    """Serve the page and its files; the app is made without FastAPI's own."""
    app.add_route(PAGE, _page, include_in_schema=False)
    app.add_route(f"{PAGE}/{_STYLE}", _style, include_in_schema=False)
    app.add_route(f"{PAGE}/{_PROGRAM}", _program, include_in_schema=False)
    app.add_route(f"{PAGE}/{_START}", _start, include_in_schema=False)


async def _page(request: Request) -> HTMLResponse:
    page = _HTML.format(title=escape(request.app.title))
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


async def _style(_request: Request) -> Response:
    return _file(_content(_STYLE), "text/css")


async def _program(_request: Request) -> Response:
    return _file(_content(_PROGRAM), "text/javascript")


async def _start(_request: Request) -> Response:
    return _file(f"SwaggerUIBundle({json.dumps(_OPTIONS)});".encode(), "text/javascript")


@cache
def _content(name: str) -> bytes:
    """A file of Swagger UI, read at the first call: a megabyte and a half in all."""
    return (resources.files("fastapi_offline") / "static" / name).read_bytes()


def _file(content: bytes, media_type: str) -> Response:
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(content, media_type=media_type, headers=headers)

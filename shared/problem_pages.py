"""The pages ``/problems/<slug>``: what a problem means and what to do, for people."""

import html
import inspect
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from shared.access import public
from shared.errors import NotFound, Refusal
from shared.problem_texts import ADVICE, TITLES_ZH
from shared.problems import category_of, documented, status_of

_INTERNAL = (
    "Something went wrong here",
    500,
    "The service failed in a way that nobody foresaw. Nothing of the request was stored.",
    "Look up the trace_id in the logs, and send the same request again with the same id or key.",
)


def install_problem_pages(app: FastAPI) -> None:
    @app.get(
        "/problems/{slug}",
        response_class=HTMLResponse,
        dependencies=[public()],
        responses=documented(NotFound),
        tags=["operations"],
    )
    async def read_problem_page(slug: str) -> HTMLResponse:
        """What the problem of this type means and what to do about it."""
        return HTMLResponse(_page(slug))


def refusals() -> dict[str, type[Refusal]]:
    """Every kind of refusal that this process knows, by slug."""
    return {kind.slug: kind for kind in _below(Refusal)}


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in kind.__subclasses__():
        yield from _below(child)
        yield child


def _page(slug: str) -> str:
    if slug == "internal":
        return _html(slug, *_INTERNAL)
    kind = refusals().get(slug)
    if kind is None:
        raise NotFound("There is no such kind of problem.")
    meaning = inspect.getdoc(kind) or kind.title
    advice = ADVICE.get(category_of(kind), "Check the request, and send it again.")
    return _html(slug, kind.title, status_of(kind), meaning, advice)


def _html(slug: str, title: str, status: int, meaning: str, advice: str) -> str:
    chinese = TITLES_ZH.get(slug, "")
    title, meaning, advice = (html.escape(text) for text in (title, meaning, advice))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{title} - SOLOMO</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;"
        "padding:0 1em}code{background:#eee;padding:.1em .3em}</style>"
        f"<h1>{title}</h1><p lang=zh-CN>{html.escape(chinese)}</p>"
        f"<p><code>{html.escape(slug)}</code>, answered with status {status}.</p>"
        f"<h2>What it means</h2><p>{meaning}</p><h2>What to do</h2><p>{advice}</p></html>"
    )

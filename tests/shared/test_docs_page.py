import re

import httpx
import pytest
from fastapi import FastAPI

FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


async def test_the_page_loads_nothing_from_elsewhere(probe: httpx.AsyncClient) -> None:
    page = await probe.get("/docs")

    assert page.status_code == 200
    assert "//" not in page.text
    assert "<script>" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy


async def test_everything_the_page_names_is_there(probe: httpx.AsyncClient) -> None:
    page = await probe.get("/docs")
    named = re.findall(r"(?:href|src)=([\w./-]+)", page.text)

    assert {"openapi.json", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js"} <= set(named)
    for address in named:
        answer = await probe.get(f"/{address}")
        assert answer.status_code == 200, address
        assert answer.content, address


@pytest.mark.parametrize("name", FILES)
async def test_its_files_are_kept_by_browsers(name: str, probe: httpx.AsyncClient) -> None:
    answer = await probe.get(f"/docs/{name}")

    assert answer.headers["content-type"].startswith(FILES[name])
    assert "max-age" in answer.headers["cache-control"]
    assert len(answer.content) > 50_000


async def test_it_begins_with_the_document_of_its_own_service(probe: httpx.AsyncClient) -> None:
    start = (await probe.get("/docs/start.js")).text

    assert start.startswith("SwaggerUIBundle({")
    assert '"url": "openapi.json"' in start
    assert '"validatorUrl": null' in start


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/docs/other.js"])
async def test_no_other_page_is_served(path: str, probe: httpx.AsyncClient) -> None:
    assert (await probe.get(path)).status_code == 404


async def test_the_page_is_no_part_of_the_document(probe_app: FastAPI) -> None:
    assert not [path for path in probe_app.openapi()["paths"] if path.startswith("/docs")]

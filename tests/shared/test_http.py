import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI

from shared.access_log import MAX_WAITING, AccessLog
from shared.http import CLIENT_GONE, Platform
from shared.traces import parse_traceparent
from tests.conftest import Tokens
from tests.shared.platform import build_app, calling

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
LIMIT = 8192


async def chunks(count: int, size: int = 1024) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_a_body_over_its_limit_is_refused_unread(probe: httpx.AsyncClient) -> None:
    response = await probe.post("/v1/stream", content=b"x" * (LIMIT + 1))

    assert response.status_code == 413
    assert response.json()["limit_bytes"] == LIMIT
    assert response.json()["type"] == "/problems/too-large"


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/parcels"])
async def test_a_chunked_body_is_refused_once_it_is_over(
    probe: httpx.AsyncClient, path: str
) -> None:
    headers = {"content-type": "application/json"}

    response = await probe.post(path, content=chunks(9), headers=headers)

    assert "content-length" not in response.request.headers
    assert response.status_code == 413


async def test_a_body_at_its_limit_is_read(probe: httpx.AsyncClient) -> None:
    whole = await probe.post("/v1/stream", content=b"x" * LIMIT)
    chunked = await probe.post("/v1/stream", content=chunks(8))

    assert (whole.json(), chunked.json()) == (LIMIT, LIMIT)


async def test_batches_may_be_larger(installation_keys: Path) -> None:
    app = build_app(
        installation_keys, access_log=False, max_body_bytes=LIMIT, max_batch_body_bytes=2 * LIMIT
    )

    async with calling(app) as client:
        between = await client.post("/v1/check-ins/batch", content=b"x" * (LIMIT + 1))
        over = await client.post("/v1/check-ins/batch", content=b"x" * (2 * LIMIT + 1))

    assert (between.status_code, over.status_code) == (404, 413)


async def test_a_trace_of_the_caller_is_carried_on(probe: httpx.AsyncClient) -> None:
    response = await probe.get("/healthz", headers={"traceparent": TRACEPARENT})

    assert response.headers["x-trace-id"] == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-xyz",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01\r\nx: y",
    ],
)
def test_a_broken_trace_is_not_carried_on(header: str) -> None:
    assert parse_traceparent(header.encode()) is None


async def test_each_request_without_a_trace_gets_its_own(probe: httpx.AsyncClient) -> None:
    ids = {(await probe.get("/healthz")).headers["x-trace-id"] for _ in range(20)}

    assert len(ids) == 20
    assert all(len(trace_id) == 32 for trace_id in ids)


async def test_answers_carry_security_headers(probe: httpx.AsyncClient) -> None:
    headers = (await probe.get("/nothing")).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"


async def test_readiness_tells_what_is_missing(
    probe_app: FastAPI, probe: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.health.CHECK_TIMEOUT_S", 0.05)

    async def fine() -> str | None:
        return None

    async def stale() -> str | None:
        return "is 7 s old"

    async def hanging() -> str | None:
        await asyncio.sleep(30)
        return None

    async def broken() -> str | None:
        raise RuntimeError("password=hunter2")

    assert (await probe.get("/readyz")).json() == {"status": "ready"}
    probe_app.state.readiness |= {"database": fine, "fences": stale}
    probe_app.state.readiness |= {"feed": hanging, "keys": broken}

    response = await probe.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"] == {
        "fences": "is 7 s old",
        "feed": "did not answer within 0.05 s",
        "keys": "failed; see the logs",
    }
    assert (await probe.get("/healthz")).status_code == 200


async def test_requests_are_counted_by_route_and_not_by_address(
    probe: httpx.AsyncClient, tokens: Tokens
) -> None:
    headers = tokens("server") | {"Idempotency-Key": "k"}
    for shelf in range(5):
        await probe.put(f"/v1/shelves/secret-{shelf}", headers=headers)

    metrics = (await probe.get("/metrics")).text

    counted = [
        line
        for line in metrics.splitlines()
        if "/v1/shelves" in line and 'status="409"' in line and "_count{" in line
    ]
    assert len(counted) == 1
    assert 'route="/v1/shelves/{shelf_id}"' in counted[0]
    assert "secret-" not in metrics


async def test_unknown_addresses_make_one_series(probe: httpx.AsyncClient) -> None:
    for number in range(5):
        await probe.get(f"/made-up-{number}")

    metrics = (await probe.get("/metrics")).text

    assert "made-up" not in metrics
    assert 'route="(none)"' in metrics


class LoggedApp:
    """The probe with its access log in a buffer."""

    def __init__(self, keys: Path, *more: APIRouter) -> None:
        self.app = build_app(keys, *more)
        self.stream = io.BytesIO()
        self.log = AccessLog("probe", self.stream)
        self.app.middleware_stack = self.app.build_middleware_stack()
        assert isinstance(self.app.middleware_stack, Platform)
        self.platform = self.app.middleware_stack
        self.platform._access_log = self.log

    def lines(self) -> list[dict[str, Any]]:
        self.log.flush()
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def logged(installation_keys: Path) -> LoggedApp:
    return LoggedApp(installation_keys)


async def test_a_request_is_one_line_with_its_route_and_role(
    logged: LoggedApp, tokens: Tokens
) -> None:
    headers = tokens("server") | {"Idempotency-Key": "k", "traceparent": TRACEPARENT}
    async with calling(logged.app) as client:
        await client.put("/v1/shelves/7?phone=13800138000", headers=headers)

    [line] = logged.lines()
    assert line.pop("duration_ms") >= 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "service": "probe",
        "method": "PUT",
        "route": "/v1/shelves/{shelf_id}",
        "status": 409,
        "trace_id": TRACE,
        "role": "server",
    }


async def test_whereabouts_and_secrets_are_in_no_log(
    logged: LoggedApp, tokens: Tokens, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = tokens("member", subject_id="00000000-0000-0000-0000-00000000002a")
    body = {"label": "hunter2", "latitude": 40.7419, "extras": {"phone": "13800138000"}}
    async with calling(logged.app) as client:
        await client.get("/v1/me?latitude=40.7419&longitude=-73.9893", headers=headers)
        await client.post("/v1/parcels?value=hunter2", json=body)
        await client.post("/v1/broken?latitude=40.7419", json=body, headers=headers)
        await client.get("/40.7419/hunter2")

    written = capsys.readouterr().out + logged.stream.getvalue().decode()
    written += str(logged.lines())
    assert "unexpected" in written
    for secret in ("40.7419", "73.9893", "hunter2", "13800138000", headers["Authorization"][7:]):
        assert secret not in written


async def test_an_unexpected_error_is_logged_with_its_place_and_trace(
    probe: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    response = await probe.post("/v1/broken")

    [line] = [
        orjson.loads(text)
        for text in capsys.readouterr().out.splitlines()
        if '"unexpected"' in text
    ]
    assert line["trace_id"] == response.json()["trace_id"]
    assert line["exception"][0]["type"] == "RuntimeError"
    assert any("break_down" in frame for frame in line["exception"][0]["frames"])


async def test_an_answer_cut_short_ends_the_connection(probe_app: FastAPI) -> None:
    from fastapi.responses import StreamingResponse  # noqa: PLC0415 - used here only

    async def half() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("hunter2")

    async def stream() -> StreamingResponse:
        return StreamingResponse(half())

    probe_app.add_api_route("/half", stream)
    async with calling(probe_app) as client:
        with pytest.raises(Exception, match=r"^RuntimeError$"):
            await client.get("/half")


async def test_a_caller_that_hangs_up_is_logged_as_gone(logged: LoggedApp) -> None:
    async with calling(logged.app) as client:
        task = asyncio.create_task(client.get("/v1/slow"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert logged.lines()[0]["status"] == CLIENT_GONE


async def test_lines_are_written_soon_without_being_asked(
    installation_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.access_log.FLUSH_AFTER_S", 0.01)
    logged = LoggedApp(installation_keys)
    async with calling(logged.app) as client:
        await client.get("/healthz")
        await asyncio.sleep(0.1)

    assert b"/healthz" in logged.stream.getvalue()


async def test_lines_do_not_pile_up(logged: LoggedApp) -> None:
    for _ in range(MAX_WAITING):
        logged.log.write(
            method="GET", route="/", status=200, duration_s=0, trace_id=TRACE, role=None
        )

    assert logged.stream.getvalue().count(b"\n") == MAX_WAITING


async def test_stopping_writes_what_waits(logged: LoggedApp) -> None:
    async with LifespanManager(logged.app), calling(logged.app) as client:
        await client.get("/healthz")

    assert b"/healthz" in logged.stream.getvalue()


async def test_the_document_tells_the_problems_of_every_operation(
    probe: httpx.AsyncClient,
) -> None:
    document = (await probe.get("/openapi.json")).json()

    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            content = operation["responses"]["422"]["content"]
            assert list(content) == ["application/problem+json"], path
    guarded = document["paths"]["/v1/shelves/{shelf_id}"]["put"]["responses"]
    assert {"401", "403", "409", "429", "503"} <= set(guarded)
    assert "shelf_full" in guarded["409"]["description"]
    assert (await probe.get("/openapi.json")).json() == document

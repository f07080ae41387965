import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from asgi_lifespan import LifespanManager
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from shared.telemetry import NoTracing, OtlpTracing, configured_tracing
from tests.conftest import ROOT, Tokens
from tests.shared.platform import build_app, calling

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(HTTPServer):
    """An OTLP collector that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for body in self.received
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.received.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_traced_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    assert isinstance(configured_tracing("geo_api"), NoTracing)


async def test_a_request_is_a_span_of_the_callers_trace_named_by_its_route(
    collector: Collector, installation_keys: Path, tokens: Tokens
) -> None:
    app = build_app(installation_keys, access_log=False)
    headers = tokens("server") | {
        "Idempotency-Key": "k",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    async with LifespanManager(app), calling(app) as client:
        answer = await client.put("/v1/shelves/hunter2?latitude=40.7419", headers=headers)
        await client.post("/v1/broken")

    shelved, broken = collector.spans
    assert answer.headers["x-trace-id"] == TRACE == shelved.trace_id.hex()
    assert shelved.parent_span_id.hex() == "00f067aa0ba902b7"
    assert shelved.name == "PUT /v1/shelves/{shelf_id}"
    assert shelved.status.code == 0
    assert broken.status.code == 2
    assert broken.trace_id.hex() != TRACE
    for secret in (b"hunter2", b"40.7419"):
        assert secret not in b"".join(collector.received)


async def test_the_framework_s_own_telemetry_stays_off_whatever_the_environment_says(
    collector: Collector, installation_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would export the query string, and the texts of exceptions."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    app = build_app(installation_keys, access_log=False)
    async with LifespanManager(app), calling(app) as client:
        await client.get("/healthz?latitude=40.7419")

    assert [span.name for span in collector.spans] == ["GET /healthz"]
    assert b"40.7419" not in b"".join(collector.received)


def test_a_span_without_a_parent_starts_a_trace(collector: Collector) -> None:
    tracing = OtlpTracing("probe")
    span = tracing.start("GET", None)
    assert span is not None
    assert span.get_span_context().trace_id != 0
    span.end()

    tracing.close()

    assert [sent.name for sent in collector.spans] == ["GET"]


def test_any_worker_answers_for_all(tmp_path: Path) -> None:
    """The library reads its folder when it is imported, hence processes of their own."""
    observe = (
        "from shared.telemetry import RequestMetrics, forget_this_process;"
        "RequestMetrics('geo').observe('GET', '/x', 200, 0.01);"
        "forget_this_process()"
    )
    tell = "import shared.telemetry as t; print(t.render_metrics().decode())"
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def run(program: str) -> str:
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        )
        return done.stdout

    run(observe)
    run(observe)
    counts = [line for line in run(tell).splitlines() if "_count{" in line]

    assert len(counts) == 1
    assert counts[0].endswith(" 2.0")

"""What is measured: Prometheus metrics always, OpenTelemetry traces when configured.

With several worker processes ``PROMETHEUS_MULTIPROC_DIR`` must name an empty folder before they
start; any of them then answers ``/metrics`` for all.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, SpanKind, TraceFlags, Tracer
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import REGISTRY

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_DURATION = Histogram(
    "solomo_http_request_duration_seconds",
    "Time from the first byte of a request to the last of its answer.",
    ("service", "method", "route", "status"),
    buckets=_BUCKETS_S,
)
_UNEXPECTED = Counter(
    "solomo_http_unexpected_errors_total", "Requests answered with a bare 500.", ("service",)
)


@dataclass(slots=True)
class RequestMetrics:
    """The histogram of one service; a series is looked up once and then kept."""

    service: str
    _series: dict[tuple[str, str, int], Histogram] = field(default_factory=dict)

    def observe(self, method: str, route: str, status: int, duration_s: float) -> None:
        """``route`` is the template (``/v1/stores/{store_id}``), so that series stay few."""
        place = (method, route, status)
        series = self._series.get(place)
        if series is None:
            series = self._series[place] = _DURATION.labels(self.service, method, route, status)
        series.observe(duration_s)

    def count_unexpected(self) -> None:
        _UNEXPECTED.labels(self.service).inc()


def render_metrics() -> bytes:
    """All metrics in Prometheus's text format, of all worker processes if there are several."""
    if not _is_multiprocess():
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    return generate_latest(registry)


def forget_this_process() -> None:
    """Let live gauges of this worker end with it."""
    if _is_multiprocess():
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]  # as above


def _is_multiprocess() -> bool:
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


class Tracing(Protocol):
    """Starts the span of a request; ``parent`` is (trace id, span id) in hex, if the caller has one."""

    def start(self, method: str, parent: tuple[str, str] | None, /) -> Span | None: ...

    def close(self) -> None: ...


class NoTracing:
    """The default: nothing is sent anywhere."""

    def start(self, _method: str, _parent: tuple[str, str] | None, /) -> Span | None:
        return None

    def close(self) -> None:
        return


class OtlpTracing:
    """Spans over OTLP/HTTP, in batches, from a thread of its own.

    The provider is not made the global one, so that no library adds spans with what callers sent.
    """

    def __init__(self, service: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        resource = Resource.create({"service.name": f"solomo-{service}"})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer: Tracer = self._provider.get_tracer("solomo")

    def start(self, method: str, parent: tuple[str, str] | None, /) -> Span | None:
        context = None
        if parent is not None:
            trace_id, span_id = (int(part, 16) for part in parent)
            remote = SpanContext(
                trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
            )
            context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        return self._tracer.start_span(method, context=context, kind=SpanKind.SERVER)

    def close(self) -> None:
        """Send what is left, and end the thread."""
        self._provider.shutdown()


def finish_span(span: Span, method: str, route: str, status: int) -> None:
    """Name a span by its route template; never by the address, which may hold whereabouts."""
    span.update_name(f"{method} {route}")
    attributes: Mapping[str, str | int] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    span.set_attributes(attributes)
    if status >= 500:  # noqa: PLR2004 - HTTP's own numbers
        span.set_status(trace.StatusCode.ERROR)
    span.end()


def configured_tracing(service: str) -> Tracing:
    """Tracing when the standard OTLP variables name an endpoint, else none."""
    named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if any(os.environ.get(name) for name in named):
        return OtlpTracing(service)
    return NoTracing()

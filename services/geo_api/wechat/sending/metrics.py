"""What sending shows on ``/metrics``."""

from prometheus_client import Counter, Gauge

from services.geo_api.outreach.domain import State

_WAITING = Gauge(
    "solomo_outreach_waiting",
    "Messages that wait, most of them for the person to permit one.",
    multiprocess_mode="mostrecent",
)
_OLDEST = Gauge(
    "solomo_outreach_due_age_seconds",
    "How long the message that has been due longest has been so.",
    multiprocess_mode="mostrecent",
)
_LOOKED = Counter(
    "solomo_outreach_total",
    "Messages by what came of looking at them, and why.",
    ("state", "reason"),
)


def count(state: State, reason: str | None) -> None:
    _LOOKED.labels(state.value, reason or "").inc()


def show(waiting: int, due_age_s: float) -> None:
    _WAITING.set(waiting)
    _OLDEST.set(due_age_s)

"""What the feed shows on ``/metrics``; ``feed`` is the schema whose outbox it is."""

from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from shared.feed.drain import Settlement
from shared.feed.parking import Lag

_WAITING = Gauge(
    "solomo_feed_waiting",
    "Events that the other service has not confirmed, without those parked.",
    ("feed",),
    multiprocess_mode="mostrecent",
)
_OLDEST = Gauge(
    "solomo_feed_oldest_age_seconds",
    "Age of the oldest event that is waiting.",
    ("feed",),
    multiprocess_mode="mostrecent",
)
_PARKED = Gauge(
    "solomo_feed_parked",
    "Events that wait for an operator.",
    ("feed",),
    multiprocess_mode="mostrecent",
)
_DELIVERED = Counter("solomo_feed_delivered_total", "Events confirmed.", ("feed",))
_REFUSED = Counter("solomo_feed_refused_total", "Events refused and parked.", ("feed",))
_FAILURES = Counter(
    "solomo_feed_failures_total", "Events told in vain, to be told again.", ("feed",)
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The series of one feed."""

    feed: str

    def add(self, settlement: Settlement) -> None:
        _DELIVERED.labels(self.feed).inc(len(settlement.done))
        _REFUSED.labels(self.feed).inc(len(settlement.refused))
        _FAILURES.labels(self.feed).inc(len(settlement.failed))

    def show(self, lag: Lag) -> None:
        _WAITING.labels(self.feed).set(lag.waiting)
        _OLDEST.labels(self.feed).set(lag.oldest_age_s)
        _PARKED.labels(self.feed).set(lag.parked)

"""What the inbox shows on ``/metrics``."""

from prometheus_client import Counter, Gauge

_WAITING = Gauge(
    "solomo_wechat_pushes_waiting",
    "Pushes that are kept and not yet handled.",
    multiprocess_mode="mostrecent",
)
_OLDEST = Gauge(
    "solomo_wechat_pushes_oldest_age_seconds",
    "Age of the oldest push that is not yet handled.",
    multiprocess_mode="mostrecent",
)
_PARKED = Gauge(
    "solomo_wechat_pushes_parked",
    "Pushes that failed too often and wait for an operator.",
    multiprocess_mode="mostrecent",
)
_ACKNOWLEDGED = Counter(
    "solomo_wechat_pushes_acknowledged_total",
    "Pushes acknowledged: new ones, and repeats (with what nothing is kept of).",
    ("outcome",),
)
_REFUSED = Counter(
    "solomo_wechat_pushes_refused_total",
    "Requests at callbacks that are not from WeChat, or not for the account.",
)
_HANDLED = Counter("solomo_wechat_pushes_handled_total", "Pushes handled.", ("state",))
_FAILED = Counter("solomo_wechat_pushes_failures_total", "Attempts to handle a push in vain.")

_KEPT, _REPEATED = _ACKNOWLEDGED.labels("kept"), _ACKNOWLEDGED.labels("repeat")


def count_kept(kept: int, repeated: int) -> None:
    _KEPT.inc(kept)
    _REPEATED.inc(repeated)


def count_refused() -> None:
    _REFUSED.inc()


def count_handled(state: str, pushes: int) -> None:
    _HANDLED.labels(state).inc(pushes)


def count_failed(pushes: int) -> None:
    _FAILED.inc(pushes)


def show(waiting: int, oldest_age_s: float, parked: int) -> None:
    _WAITING.set(waiting)
    _OLDEST.set(oldest_age_s)
    _PARKED.set(parked)

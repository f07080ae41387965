"""What interactions add up to: person-visits, spend, and how near somebody has come."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Stay:
    """A subject's visit to a store; ``left_at`` None while it goes on."""

    store_id: str
    entered_at: datetime
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Purchase:
    """A redemption that was not reversed; the amount is in minor units of ``currency``."""

    event_id: UUID
    redeemed_at: datetime
    store_id: str | None
    amount_minor: int | None
    currency: str | None


def count_visits(stays: Iterable[Stay]) -> dict[str, int]:
    """Person-visits by store: how many pieces the union of a person's stays there has.

    Stays are closed intervals, so that those which share an instant are one visit; one that goes
    on reaches into all that follows. The order of the stays does not matter, nor whose they are.
    """
    by_store: defaultdict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        by_store[stay.store_id].append(stay)
    return {store: _pieces(by_store[store]) for store in sorted(by_store)}


def _pieces(stays: list[Stay]) -> int:
    pieces = 0
    covered_until: datetime | None = None
    for stay in sorted(stays, key=lambda stay: stay.entered_at):
        if pieces == 0 or (covered_until is not None and stay.entered_at > covered_until):
            pieces += 1
            covered_until = stay.left_at
        elif covered_until is not None:
            covered_until = None if stay.left_at is None else max(covered_until, stay.left_at)
    return pieces


def spend_minor(purchases: Iterable[Purchase]) -> dict[str, int]:
    """What was spent, by currency, in its minor units."""
    total: Counter[str] = Counter()
    for purchase in purchases:
        if purchase.currency is not None and purchase.amount_minor is not None:
            total[purchase.currency] += purchase.amount_minor
    return dict(sorted(total.items()))


def first_purchase(purchases: Iterable[Purchase]) -> Purchase | None:
    """The earliest, by (time, event id)."""
    return min(purchases, key=lambda p: (p.redeemed_at, p.event_id), default=None)

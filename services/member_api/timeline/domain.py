"""What interactions add up to: person-visits, spend, and how near somebody has come."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Stay:
    """A subject's visit to a store; ``left_at`` None while it goes on.

    ``dwelled``: it lasted as long as a threshold of the store says.
    """

    store_id: str
    entered_at: datetime
    left_at: datetime | None
    dwelled: bool = False


@dataclass(frozen=True, slots=True)
class Purchase:
    """A redemption that was not reversed; the amount is in minor units of ``currency``."""

    event_id: UUID
    redeemed_at: datetime
    store_id: str | None
    amount_minor: int | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Contact:
    """A moment at which somebody came to us through a social channel: a follow, or a scene.

    ``store_id`` is the store that the scene is for, which nobody need have stood in.
    """

    at: datetime
    event_id: UUID
    channel: str
    account_id: str
    store_id: str | None
    scene: str | None
    campaign: str | None
    kol: str | None

    @property
    def order(self) -> tuple[datetime, UUID]:
        return self.at, self.event_id


@dataclass(frozen=True, slots=True)
class Follow:
    """Whether an account is followed, and since when that is so."""

    channel: str
    account_id: str
    follows: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Bond:
    """Two subjects are one person, as was shown ``since`` a time."""

    one: UUID
    other: UUID
    since: datetime


def reach(revocations: Mapping[UUID, datetime], bonds: Iterable[Bond]) -> dict[UUID, datetime]:
    """Up to when the whereabouts of each subject are revoked, given who said so and until when.

    A revocation is the word of the person as it was then, so it goes along the bonds that held
    by that time; who proves to be the same person later keeps what is theirs. The later of two
    revocations counts. Telling the result again gives the same, in whatever order.
    """
    neighbours: defaultdict[UUID, list[tuple[UUID, datetime]]] = defaultdict(list)
    for bond in bonds:
        neighbours[bond.one].append((bond.other, bond.since))
        neighbours[bond.other].append((bond.one, bond.since))
    reached = dict(revocations)
    waiting = sorted(revocations, key=lambda subject: revocations[subject])
    while waiting:
        subject = waiting.pop()
        until = reached[subject]
        for other, since in neighbours[subject]:
            before = reached.get(other)
            if since <= until and (before is None or before < until):
                reached[other] = until
                waiting.append(other)
    return reached


def count_visits(stays: Iterable[Stay]) -> dict[str, int]:
    """Person-visits by store: how many pieces the union of a person's stays there has.

    Stays are closed intervals, so that those which share an instant are one visit; one that goes
    on reaches into all that follows. The order of the stays does not matter, nor whose they are.
    """
    return {store: len(pieces) for store, pieces in _person_visits(stays).items()}


def count_dwells(stays: Iterable[Stay]) -> dict[str, int]:
    """Those of the person-visits by store in which a stay was a dwell; none where there is none."""
    dwells = {
        store: sum(any(stay.dwelled for stay in piece) for piece in pieces)
        for store, pieces in _person_visits(stays).items()
    }
    return {store: count for store, count in dwells.items() if count}


def _person_visits(stays: Iterable[Stay]) -> dict[str, list[list[Stay]]]:
    by_store: defaultdict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        by_store[stay.store_id].append(stay)
    return {store: _pieces(by_store[store]) for store in sorted(by_store)}


def _pieces(stays: list[Stay]) -> list[list[Stay]]:
    """The stays that share time, together."""
    pieces: list[list[Stay]] = []
    covered_until: datetime | None = None
    for stay in sorted(stays, key=lambda stay: stay.entered_at):
        if not pieces or (covered_until is not None and stay.entered_at > covered_until):
            pieces.append([stay])
            covered_until = stay.left_at
            continue
        pieces[-1].append(stay)
        if covered_until is not None:
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

"""Check-ins before they are sent, and what goes wrong with them on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from cli.simulation.plane import HARBOUR, Plane
from cli.simulation.sources import Seen

BEGINNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""Second 0 of every simulation, unless it is sent: a Monday, far from any change of the clocks."""


class Report(NamedTuple):
    """One check-in of one subject; ``number`` counts its own, in the order of occurrence.

    ``occurred_at`` is what the phone's clock says, ``received_at`` ours.
    """

    subject: str
    number: int
    occurred_at: datetime
    received_at: datetime
    lon: float
    lat: float
    accuracy_m: float
    mocked: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.subject, self.number


def moment(seconds: float, beginning: datetime = BEGINNING) -> datetime:
    """To the millisecond, as it is sent."""
    return beginning + timedelta(milliseconds=round(seconds * 1000))


def reports(
    subject: str, seen: Seen, beginning: datetime = BEGINNING, plane: Plane = HARBOUR
) -> list[Report]:
    """The fixes of a phone as check-ins, each received as it occurs."""
    rows = zip(*(column.tolist() for column in seen), strict=True)
    made = []
    for number, (at_s, east_m, north_m, accuracy_m) in enumerate(rows):
        at, place = moment(at_s, beginning), plane.lonlat(east_m, north_m)
        made.append(Report(subject, number, at, at, place.lon, place.lat, accuracy_m))
    return made


@dataclass(frozen=True, slots=True)
class Trouble:
    """What may befall a phone. All shares are ours: each is large enough to matter in a short run.

    ``lost`` and ``repeated`` are shares of fixes; a repeat is sent three times in all. Of the
    phones, ``offline`` keep their fixes for ``offline_s`` and send them shuffled, ``silent`` are
    switched off for ``silent_s``, ``skewed`` have a clock that is up to ``skew_s`` wrong.
    """

    lost: float = 0.05
    repeated: float = 0.02
    offline: float = 0.25
    offline_s: float = 1_200.0
    silent: float = 0.1
    silent_s: float = 2_700.0
    skewed: float = 0.1
    skew_s: float = 60.0

    def befalls(self, sent: Sequence[Report], chance: np.random.Generator) -> list[Report]:
        """The check-ins of one subject, in the order in which they arrive."""
        kept = [report for report in sent if chance.random() >= self.lost]
        if chance.random() < self.silent:
            start = _pause_start(kept, self.silent_s, chance)
            kept = [r for r in kept if not start <= r.occurred_at < start + _s(self.silent_s)]
        if chance.random() < self.offline:
            kept = offline(kept, _pause_start(kept, self.offline_s, chance), self.offline_s, chance)
        if chance.random() < self.skewed:
            wrong = _s(round(chance.uniform(-self.skew_s, self.skew_s)))
            kept = [r._replace(occurred_at=r.occurred_at + wrong) for r in kept]
        return [r for r in kept for _ in range(3 if chance.random() < self.repeated else 1)]


def offline(
    sent: Iterable[Report], start: datetime, seconds: float, chance: np.random.Generator
) -> list[Report]:
    """The fixes from ``start`` on arrive together at the end of the pause, in any order."""
    end = start + _s(seconds)
    before: list[Report] = []
    held: list[Report] = []
    after: list[Report] = []
    for report in sent:
        if start <= report.received_at < end:
            held.append(report._replace(received_at=end))
        else:
            (before if report.received_at < start else after).append(report)
    return [*before, *(held[place] for place in chance.permutation(len(held))), *after]


def in_order_of_arrival(many: Iterable[Sequence[Report]]) -> list[Report]:
    """All subjects' check-ins together; those of one keep their order."""
    return sorted((r for sent in many for r in sent), key=lambda report: report.received_at)


def _pause_start(sent: Sequence[Report], seconds: float, chance: np.random.Generator) -> datetime:
    """Anywhere, so that the pause ends before the last fix if it can."""
    first, last = sent[0].occurred_at, sent[-1].occurred_at
    latest_s = max(0.0, (last - first).total_seconds() - seconds)
    return first + _s(round(chance.uniform(0, latest_s)))


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)

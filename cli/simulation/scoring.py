"""How well the visits of a rule agree with where people truly were."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from statistics import median
from typing import Any

from cli.simulation.deciding import Found
from cli.simulation.paths import Span

LEAST_STAY_S = 60.0
"""Whoever was in a store for less was passing through: a visit there is neither asked for nor wrong."""

SLACK_S = 60.0
"""A visit and a stay that miss each other by so little belong together: clocks are that far off."""


@dataclass(slots=True)
class Score:
    """Counts that add up over people and stores. Times are in seconds.

    ``stays`` are true ones, ``recalled`` those with a visit. Of the visits, ``wrong`` are those
    without a stay, and ``again`` those that begin anew in a stay that was said to be over; the
    others are ``right``.
    ``misplaced_s`` is the time called inside that was not and the reverse. ``flaps`` are changes
    of state beyond the first of people who stand at an edge, in ``edge_fixes`` fixes.
    """

    stays: int = 0
    recalled: int = 0
    right: int = 0
    wrong: int = 0
    again: int = 0
    inside_s: float = 0.0
    misplaced_s: float = 0.0
    flaps: int = 0
    edge_fixes: int = 0
    enter_delays_s: list[float] = field(default_factory=list)
    exit_delays_s: list[float] = field(default_factory=list)

    def add(self, other: "Score") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def recall(self) -> float | None:
        return _share(self.recalled, self.stays)

    @property
    def precision(self) -> float | None:
        return _share(self.right, self.visits)

    @property
    def visits(self) -> int:
        return self.right + self.again + self.wrong

    @property
    def flaps_per_1000(self) -> float | None:
        return _share(1_000 * self.flaps, self.edge_fixes)

    def document(self) -> dict[str, Any]:
        return {
            "stays": self.stays,
            "visits": self.visits,
            "precision": _rounded(self.precision, 4),
            "recall": _rounded(self.recall, 4),
            "again": self.again,
            "flaps_per_1000": _rounded(self.flaps_per_1000, 1),
            "enter_delay_s": _median(self.enter_delays_s),
            "exit_delay_s": _median(self.exit_delays_s),
            "misplaced_share": _rounded(_share(self.misplaced_s, self.inside_s), 4),
        }


def total(scores: Iterable[Score]) -> Score:
    whole = Score()
    for score in scores:
        whole.add(score)
    return whole


def score(stays: Sequence[Span], visits: Sequence[Found], beginning: datetime) -> Score:
    """Of one person at one store; both in the order of their beginnings."""
    spans = [_span(visit, beginning) for visit in visits]
    real = [stay for stay in stays if stay[1] - stay[0] >= LEAST_STAY_S]
    made = Score(stays=len(real), inside_s=_length(stays))
    made.misplaced_s = _length(stays) + _length(spans) - 2 * _common(stays, spans)
    for span in spans:
        if any(_meet(stay, span) for stay in real):
            made.right += 1
        elif not any(_meet(stay, span) for stay in stays):
            made.wrong += 1
    for stay in real:
        _weigh_stay(stay, [v for v, span in zip(visits, spans, strict=True) if _meet(stay, span)],
                    beginning, made)  # fmt: skip
    return made


def _weigh_stay(stay: Span, its: Sequence[Found], beginning: datetime, made: Score) -> None:
    if not its:
        return
    made.recalled += 1
    again = sum(visit.exit_told_at is not None for visit in its[:-1])
    made.again += again
    made.right -= again
    made.enter_delays_s.append((its[0].entered_told_at - beginning).total_seconds() - stay[0])
    told = its[-1].exit_told_at
    if told is not None:
        made.exit_delays_s.append((told - beginning).total_seconds() - stay[1])


def at_edge(visits: Sequence[Found], fixes: int) -> Score:
    """Of one person who stood at the edge of a store: one change of state may be, no more."""
    changes = len(visits) + sum(visit.exit_told_at is not None for visit in visits)
    return Score(flaps=max(0, changes - 1), edge_fixes=fixes)


def _span(visit: Found, beginning: datetime) -> Span:
    end = visit.left_at or visit.last_inside_at
    return (visit.entered_at - beginning).total_seconds(), (end - beginning).total_seconds()


def _meet(stay: Span, visit: Span) -> bool:
    return visit[0] - SLACK_S <= stay[1] and stay[0] <= visit[1] + SLACK_S


def _length(spans: Iterable[Span]) -> float:
    return sum(end - start for start, end in spans)


def _common(some: Sequence[Span], others: Sequence[Span]) -> float:
    return sum(
        max(0.0, min(one[1], other[1]) - max(one[0], other[0])) for one in some for other in others
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _median(seconds: Sequence[float]) -> float | None:
    return round(median(seconds), 1) if seconds else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)

"""One seeded run: every rule on the same people, edges, golden tracks and spoofers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.simulation.checking import Checked, check
from cli.simulation.deciding import RULES, Found, decide, fence_index, look
from cli.simulation.edges import boundary_hours
from cli.simulation.golden import golden_tracks
from cli.simulation.reports import BEGINNING, Report, Trouble, in_order_of_arrival, moment
from cli.simulation.scoring import Score, score, total
from cli.simulation.sources import SOURCES
from cli.simulation.spoofing import Believed, believed, spoofers
from cli.simulation.town import RADII_M, Walker, street, walkers
from services.geo_api.presence.rule import ArrivalRule

_WALKERS_PER_EDGE = 24
_WALKERS_PER_SPOOFER = 24
_SILENT_AFTER_S = 3_600.0

Cell = tuple[str, str, str]
"""(rule, source, store)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is simulated; a run is decided by these three numbers."""

    seed: int = 1
    walkers: int = 96
    hours: float = 3


@dataclass(slots=True)
class Trial:
    """What came of a run.

    ``late`` are check-ins that arrived after a later one of the same person, and
    ``changed_by_order`` the visits of the ``leading`` rule that are others when none does.
    """

    scale: Scale
    rules: Mapping[str, ArrivalRule]
    check_ins: int = 0
    late: int = 0
    changed_by_order: int = 0
    scores: dict[Cell, Score] = field(default_factory=lambda: defaultdict(Score))
    golden: list[Checked] = field(default_factory=list)
    believed: list[Believed] = field(default_factory=list)

    @property
    def leading(self) -> str:
        return next(iter(self.rules))

    @property
    def passed(self) -> bool:
        return not self.changed_by_order and not any(checked.faults for checked in self.golden)

    def of(self, rule: str, source: str | None = None) -> Score:
        """Over all stores, and over all sources unless one is named."""
        return total(
            score
            for (by, seen, _), score in self.scores.items()
            if by == rule and source in (None, seen)
        )

    def document(self) -> dict[str, Any]:
        return {
            "seed": self.scale.seed,
            "walkers": self.scale.walkers,
            "hours": self.scale.hours,
            "check_ins": self.check_ins,
            "late": self.late,
            "changed_by_order": self.changed_by_order,
            "rules": [{"rule": rule, **self.of(rule).document()} for rule in self.rules],
            "cells": [
                {
                    "rule": rule,
                    "source": source.name,
                    "accuracy_m": source.accuracy_m,
                    "radius_m": radius_m,
                    **self.scores[rule, source.name, f"sim-{radius_m}"].document(),
                }
                for source in SOURCES
                for radius_m in RADII_M
                for rule in self.rules
            ],
            "golden": [checked.document() for checked in self.golden],
            "trust": [one.document() for one in self.believed],
        }


def run_trial(
    scale: Scale,
    rules: Mapping[str, ArrivalRule] = RULES,
    advance: Callable[[], None] = lambda: None,
) -> Trial:
    """Score ``rules``. Golden tracks, the order of arrival and trust are those of the first one."""
    trial = Trial(scale, rules)
    for part in _PARTS:
        part(trial)
        advance()
    return trial


def _walk(trial: Trial) -> None:
    """Errands in the street: every rule's scores, and how the leading one takes late check-ins."""
    scale, leading = trial.scale, trial.rules[trial.leading]
    people = list(walkers(scale.seed, scale.walkers, scale.hours, Trouble()))
    sent = in_order_of_arrival(person.sent for person in people)
    near = look(fence_index(street()), sent)
    until = moment(max(person.path.until_s for person in people) + _SILENT_AFTER_S)
    found = {name: decide(sent, near, rule, until) for name, rule in trial.rules.items()}
    for name, visits in found.items():
        _weigh(trial, name, people, visits)
    visits, late = found[trial.leading], _late(sent)
    trial.check_ins, trial.late = len(sent), late.total()
    trial.changed_by_order = _changed_by_order(
        [report for report in sent if report.subject in late],
        [visit for visit in visits if visit.subject in late],
        leading,
        until,
    )
    trial.believed.append(believed("honest", sent, visits))


def _stand(trial: Trial) -> None:
    people = max(1, trial.scale.walkers // _WALKERS_PER_EDGE)
    for cell, made in boundary_hours(trial.scale.seed, people, trial.rules):
        trial.scores[cell].add(made)


def _check_golden(trial: Trial) -> None:
    trial.golden = [check(track, trial.rules[trial.leading]) for track in golden_tracks()]


def _pretend(trial: Trial) -> None:
    index, rule, scale = fence_index(street()), trial.rules[trial.leading], trial.scale
    each = max(2, scale.walkers // _WALKERS_PER_SPOOFER)
    for kind, sent in spoofers(scale.seed, each, scale.hours).items():
        visits = decide(sent, look(index, sent), rule)
        trial.believed.append(believed(kind.value, sent, visits))


_PARTS = (_walk, _stand, _check_golden, _pretend)
STEPS = len(_PARTS)
"""How often ``run_trial`` says that it got on."""


def _weigh(trial: Trial, rule: str, people: Sequence[Walker], visits: Sequence[Found]) -> None:
    by_place: Mapping[tuple[str, str], list[Found]] = defaultdict(list)
    for visit in visits:
        by_place[visit.subject, visit.store_id].append(visit)
    for person in people:
        for shop in street():
            its = by_place[person.name, shop.store_id]
            made = score(person.path.stays(shop), its, BEGINNING)
            trial.scores[rule, person.source.name, shop.store_id].add(made)


def _late(sent: Sequence[Report]) -> Counter[str]:
    """By subject, how many check-ins arrive after one of its own that occurred later."""
    latest: dict[str, datetime] = {}
    late: Counter[str] = Counter()
    for report in sent:
        known = latest.setdefault(report.subject, report.occurred_at)
        if report.occurred_at < known:
            late[report.subject] += 1
        latest[report.subject] = max(report.occurred_at, known)
    return late


def _changed_by_order(
    sent: Sequence[Report], visits: Sequence[Found], rule: ArrivalRule, until: datetime
) -> int:
    """How many visits are others when everything arrives in the order of occurrence."""
    ordered = sorted(sent, key=lambda report: report.occurred_at)
    again = decide(ordered, look(fence_index(street()), ordered), rule, until)
    return len({visit.retold for visit in again} ^ {visit.retold for visit in visits})

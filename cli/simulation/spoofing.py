"""People who pretend to be in a store, and how far their check-ins are trusted."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import numpy as np

from cli.simulation.deciding import Found
from cli.simulation.paths import Path, PathMaker
from cli.simulation.plane import HARBOUR
from cli.simulation.reports import BEGINNING, Report, in_order_of_arrival, reports
from cli.simulation.sources import GNSS, observe
from cli.simulation.town import errands, street
from services.geo_api.trust.domain import (
    Doubt,
    Place,
    Signal,
    by_accuracy,
    by_sharing,
    by_speed,
    by_time,
    is_exact,
    told_by_app,
    trust,
)

LEAST_TRUST = (50, 75)
"""What an offer may ask for: at 50 no single grave doubt passes, at 75 none but the smallest."""

_OF_SPOOFERS = 2
_HOME_WEST_M = -8_000.0
"""So far from the street that nothing on the ground gets there between two fixes."""

_JUMP_EVERY, _JUMP_FOR = 40, 2
"""Fixes: every 20 minutes for a minute."""

_FAKE_ACCURACY_M = 5.0


class Spoof(StrEnum):
    """How people pretend.

    ``teleport`` jumps into stores from home; ``mocked`` uses an app that makes positions up, on a
    phone that says so; ``shared`` replays the recorded way of somebody else to the last digit.
    """

    TELEPORT = "teleport"
    MOCKED = "mocked"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Believed:
    """What some people got out of the default rule, and what their trust would have spared.

    ``doubted`` are check-ins against which anything speaks; ``under`` counts the visits whose
    opening check-in is trusted less than each of ``LEAST_TRUST``.
    """

    people: str
    check_ins: int
    doubted: int
    visits: int
    under: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        spared = {
            f"under_{least}": count for least, count in zip(LEAST_TRUST, self.under, strict=True)
        }
        return {
            "people": self.people,
            "check_ins": self.check_ins,
            "doubted": self.doubted,
            "visits": self.visits,
            **spared,
        }


def spoofers(
    seed: int, each: int, hours: float, beginning: datetime = BEGINNING
) -> dict[Spoof, list[Report]]:
    """The check-ins of ``each`` people of every kind; none of them is ever truly in a store."""
    ways: Mapping[Spoof, Callable[[np.random.Generator, float], Iterator[list[Report]]]] = {
        Spoof.TELEPORT: lambda chance, seconds: _teleports(chance, seconds, each, beginning),
        Spoof.MOCKED: lambda chance, seconds: _mocks(chance, seconds, each, beginning),
        Spoof.SHARED: lambda chance, seconds: _shares(chance, seconds, each, beginning),
    }
    return {
        kind: in_order_of_arrival(
            make(np.random.default_rng([seed, _OF_SPOOFERS, number]), hours * 3_600)
        )
        for number, (kind, make) in enumerate(ways.items())
    }


def believed(people: str, sent: Sequence[Report], visits: Sequence[Found]) -> Believed:
    """How far check-ins, in the order of their arrival, are trusted, and the visits they gave."""
    trusted = scores(sent)
    opening = [trusted[visit.subject, visit.entered_told_at] for visit in visits]
    under = tuple(sum(score < least for score in opening) for least in LEAST_TRUST)
    doubted = sum(score < 100 for score in trusted.values())  # noqa: PLR2004 - full trust
    return Believed(people, len(trusted), doubted, len(visits), under)


def scores(sent: Sequence[Report]) -> dict[tuple[str, datetime], int]:
    """The trust score of each check-in by subject and moment, given in the order of arrival.

    The signals are those that need nothing but check-ins; a repeat keeps its first score.
    """
    last: dict[str, Place] = {}
    seen: dict[tuple[float, float, date], set[UUID]] = defaultdict(set)
    found: dict[tuple[str, datetime], int] = {}
    for report in sent:
        key = report.subject, report.occurred_at
        if key in found:
            continue
        here = Place(report.lon, report.lat, report.accuracy_m, report.occurred_at)
        doubts = [*told_by_app({"mocked": report.mocked})]
        doubts += _doubts(report, here, last.get(report.subject))
        doubts += _sharing(report, seen)
        found[key] = trust(doubts).score
        if report.subject not in last or last[report.subject].at < here.at:
            last[report.subject] = here
    return found


def _doubts(report: Report, here: Place, there: Place | None) -> list[Doubt]:
    said = (
        by_time(report.occurred_at, report.received_at),
        by_accuracy(report.accuracy_m),
        by_speed(here, there, Signal.JUMPED_SINGLE_DEVICE),
    )
    return [doubt for doubt in said if doubt is not None]


def _sharing(report: Report, seen: dict[tuple[float, float, date], set[UUID]]) -> list[Doubt]:
    if not is_exact(report.lat, report.lon):
        return []
    who = _subject_id(report.subject)
    those = seen[report.lon, report.lat, report.received_at.date()]
    doubt = by_sharing(frozenset([who]), those)
    those.add(who)
    return [] if doubt is None else [doubt]


@cache
def _subject_id(subject: str) -> UUID:
    return uuid5(NAMESPACE_OID, subject)


def _teleports(
    chance: np.random.Generator, seconds: float, each: int, beginning: datetime
) -> Iterator[list[Report]]:
    for number in range(each):
        home = PathMaker.beginning(_HOME_WEST_M, 0.0).wait(seconds).path()
        sent = reports(f"teleport-{number}", observe(home, GNSS, chance), beginning)
        yield [_jumped(report, chance) for report in sent]


def _jumped(report: Report, chance: np.random.Generator) -> Report:
    if report.number % _JUMP_EVERY < _JUMP_FOR and report.number >= _JUMP_EVERY:
        return _pretending(report, report.number // _JUMP_EVERY, chance)
    return report


def _mocks(
    chance: np.random.Generator, seconds: float, each: int, beginning: datetime
) -> Iterator[list[Report]]:
    for number in range(each):
        home = PathMaker.beginning(_HOME_WEST_M, 0.0).wait(seconds).path()
        sent = reports(f"mocked-{number}", observe(home, GNSS, chance), beginning)
        yield [_pretending(r, number, chance)._replace(mocked=True) for r in sent]


def _shares(
    chance: np.random.Generator, seconds: float, each: int, beginning: datetime
) -> Iterator[list[Report]]:
    """The recorded way is that of a person who is not among them, but was seen first."""
    way: Path = errands(street(), seconds, chance)
    recorded = reports("recorded", observe(way, GNSS, chance), beginning)
    for number in range(each):
        yield [report._replace(subject=f"shared-{number}") for report in recorded]


def _pretending(report: Report, which: int, chance: np.random.Generator) -> Report:
    """As if in the middle of a store, a step about."""
    ground = street()[which % len(street())].ground
    east_m, north_m = chance.normal(0, 1, 2)
    place = HARBOUR.lonlat(ground.east_m + float(east_m), ground.north_m + float(north_m))
    return report._replace(lon=place.lon, lat=place.lat, accuracy_m=_FAKE_ACCURACY_M)

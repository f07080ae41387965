"""Golden tracks: small stories with the visits that the default rule must find in them.

Each is told in metres and seconds: who walked where, how the phone saw it, and what must come of
it. Positions are exact unless a story needs an error, which then is the same in every run.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cli.simulation.paths import Path, PathMaker, Span
from cli.simulation.plane import Box, Disc, Shop
from cli.simulation.reports import Report, moment, offline, reports
from cli.simulation.sources import Seen, Source, exactly, observe
from services.geo_api.presence.domain import ClosedBy, VisitState

_MINUTE_S, _HOUR_S = 60.0, 3_600.0
_CAR_MPS = 14.0
_GNSS = Source("gnss", 10, every_s=10)


@dataclass(frozen=True, slots=True)
class Expected:
    """A visit with the spans of seconds in which it must begin and end; ``left`` None: it goes on."""

    store_id: str
    entered: Span
    left: Span | None
    state: VisitState = VisitState.EXITED
    closed_by: ClosedBy | None = ClosedBy.LEFT


@dataclass(frozen=True, slots=True)
class GoldenTrack:
    """``sent`` in the order of arrival. ``winner``: the one store that may win the ranking of a fix."""

    name: str
    story: str
    shops: tuple[Shop, ...]
    sent: list[Report]
    visits: tuple[Expected, ...] = ()
    crossed: tuple[str, ...] = ()
    winner: str | None = None


def golden_tracks() -> list[GoldenTrack]:
    return [make() for make in _TRACKS]


def _drive_by() -> GoldenTrack:
    road = PathMaker.beginning(-770, 0).go(770, 0, _CAR_MPS).path()
    return GoldenTrack(
        "drive-by",
        "A car at 50 km/h goes through one geofence and past another, a fix every 10 s.",
        (Shop("kiosk", Disc(0, 0, 25)), Shop("tea-room", Disc(200, 60, 25))),
        _sent(exactly(road, _GNSS)),
        crossed=("kiosk",),
    )


def _mall() -> GoldenTrack:
    way = PathMaker.beginning(-150, -15).go(0, -15).go(0, 15).wait(15 * _MINUTE_S)
    entered_s = way.now_s - 15 * _MINUTE_S - 15 / 1.4
    way.go(0, -15).go(150, -15)
    names = ("west", "middle", "east")
    shops = tuple(Shop(name, Box(40 * (place - 1), 15, 40, 30)) for place, name in enumerate(names))
    return GoldenTrack(
        "mall",
        "Three stores side by side, 40 m wide and 30 m deep; a quarter of an hour in the middle.",
        shops,
        _sent(_observed(way.path(), Source("wifi", 12, every_s=20))),
        (Expected("middle", _about(entered_s, 40), _about(entered_s + 920, 40)),),
        winner="middle",
    )


def _edge_hour() -> GoldenTrack:
    way = PathMaker.beginning(0, -300).go(0, -50)
    began_s = way.now_s
    path = way.wait(_HOUR_S).go(0, -300).path()
    return GoldenTrack(
        "edge-hour",
        "An hour on the edge of a 50 m geofence, a jittering fix every 10 s, then away.",
        (Shop("corner", Disc(0, 0, 50)),),
        _sent(_observed(path, _GNSS)),
        (Expected("corner", (began_s - 20, began_s + 600), (began_s + 1_800, began_s + 3_640)),),
    )


def _offline_hour() -> GoldenTrack:
    way = PathMaker.beginning(-400, 0).go(0, 0).wait(40 * _MINUTE_S).go(400, 0)
    live = _sent(_observed(way.path(), Source("gnss", 10)))
    chance = np.random.default_rng(7)
    return GoldenTrack(
        "offline-hour",
        "40 minutes in a café without a signal; an hour's fixes arrive at once, shuffled.",
        (Shop("cafe", Disc(0, 0, 50)),),
        offline(live, moment(100), _HOUR_S, chance),
        (Expected("cafe", _about(250, 40), _about(286 + 40 * _MINUTE_S, 80)),),
    )


def _night_shift() -> GoldenTrack:
    way = PathMaker.beginning(-200, 0, 12 * _HOUR_S).go(0, 0).wait(9 * _HOUR_S)
    left_s = way.now_s
    path = way.go(-500, 0).wait(_HOUR_S).path()
    return GoldenTrack(
        "overnight",
        "Nine hours from evening to morning, a fix every 20 minutes: one visit over midnight.",
        (Shop("depot", Disc(0, 0, 60)),),
        _sent(exactly(path, Source("gnss", 10, every_s=1_200))),
        (Expected("depot", _about(12 * _HOUR_S + 600, 610), _about(left_s - 600, 610)),),
    )


def _flat_battery() -> GoldenTrack:
    way = PathMaker.beginning(-200, 0, 12 * _HOUR_S).go(0, 0).wait(70 * _MINUTE_S)
    died_s = way.now_s
    path = way.wait(2 * _HOUR_S).go(900, 0).wait_until(23 * _HOUR_S).path()
    seen = exactly(path, Source("gnss", 10))
    dark = (seen.times_s > died_s) & (seen.times_s < 22.5 * _HOUR_S)
    return GoldenTrack(
        "flat-battery",
        "The phone dies in a bar at night and wakes at home: ended by the gap, not by an exit.",
        (Shop("bar", Disc(0, 0, 40)),),
        _sent(Seen(*(column[~dark] for column in seen))),
        (
            Expected(
                "bar",
                _about(12 * _HOUR_S + 114, 30),
                _about(died_s, 30),
                VisitState.EXPIRED,
                ClosedBy.GAP,
            ),
        ),
    )


def _small_store() -> GoldenTrack:
    way = PathMaker.beginning(0, -200).go(0, 0).wait(10 * _MINUTE_S).go(0, -200)
    return GoldenTrack(
        "small-store",
        "A store 24 m deep at an accuracy of 24 m: no fix is sure, the second bears out the first.",
        (Shop("narrow", Box(0, 0, 80, 24)),),
        _sent(exactly(way.path(), Source("wifi", 24))),
        (Expected("narrow", _about(134, 31), _about(752, 31)),),
    )


def _large_fence() -> GoldenTrack:
    way = PathMaker.beginning(0, -900).go(0, 900)
    return GoldenTrack(
        "large-fence",
        "Through a park of 400 m radius with fixes of 50 m: one visit of some nine minutes.",
        (Shop("park", Disc(0, 0, 400)),),
        _sent(_observed(way.path(), Source("poor_wifi", 50))),
        (Expected("park", _about(357, 90), _about(929, 90)),),
    )


def _cell_only() -> GoldenTrack:
    there = PathMaker.beginning(0, 0).wait(_HOUR_S).path()
    return GoldenTrack(
        "cell-only",
        "An hour in the middle of a 100 m geofence, seen by cells at 250 m only: no visit.",
        (Shop("hall", Disc(0, 0, 100)),),
        _sent(exactly(there, Source("cell", 250))),
    )


_TRACKS: tuple[Callable[[], GoldenTrack], ...] = (
    _drive_by,
    _mall,
    _edge_hour,
    _offline_hour,
    _night_shift,
    _flat_battery,
    _small_store,
    _large_fence,
    _cell_only,
)


def _observed(path: Path, source: Source) -> Seen:
    return observe(path, source, np.random.default_rng(1))


def _sent(seen: Seen) -> list[Report]:
    return reports("somebody", seen)


def _about(at_s: float, give_s: float) -> Span:
    return at_s - give_s, at_s + give_s

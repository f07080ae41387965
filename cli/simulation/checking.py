"""Whether a rule finds in a golden track what must be found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cli.simulation.deciding import Found, crossings, decide, fence_index, look
from cli.simulation.golden import Expected, GoldenTrack
from cli.simulation.reports import BEGINNING, Report
from services.geo_api.presence.fences import FenceMatch
from services.geo_api.presence.ranking import Near, rank
from services.geo_api.presence.rule import DEFAULT_RULE, ArrivalRule


@dataclass(frozen=True, slots=True)
class Checked:
    """``faults`` are empty for a track that gives what it must."""

    track: GoldenTrack
    visits: tuple[Found, ...]
    crossed: tuple[str, ...]
    faults: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        return {
            "track": self.track.name,
            "check_ins": len(self.track.sent),
            "expected": _counted(visit.store_id for visit in self.track.visits),
            "visits": _counted(visit.store_id for visit in self.visits),
            "crossed": _counted(self.crossed),
            "result": "; ".join(self.faults) or "as it must be",
        }


def check(track: GoldenTrack, rule: ArrivalRule = DEFAULT_RULE) -> Checked:
    index = fence_index(track.shops)
    near = look(index, track.sent)
    visits = decide(track.sent, near, rule)
    crossed = tuple(crossings(index, track.sent, rule))
    faults = [*_wrong_visits(visits, track.visits)]
    if crossed != track.crossed:
        faults.append(f"crossed {_counted(crossed)}")
    if [v.retold for v in decide_again(track, rule)] != [v.retold for v in visits]:
        faults.append("other visits in order of occurrence, each sent three times")
    if track.winner is not None:
        faults += _wrong_winners(track, near)
    return Checked(track, tuple(visits), crossed, tuple(faults))


def decide_again(track: GoldenTrack, rule: ArrivalRule = DEFAULT_RULE) -> list[Found]:
    """The visits had everything come live and, as a phone without an answer does, three times."""
    live = sorted(track.sent, key=lambda report: report.number)
    sent = [r._replace(received_at=r.occurred_at) for r in live for _ in range(3)]
    return decide(sent, look(fence_index(track.shops), sent), rule)


def _wrong_visits(visits: list[Found], expected: tuple[Expected, ...]) -> Iterable[str]:
    if len(visits) != len(expected):
        yield f"{len(visits)} visits for {len(expected)}"
        return
    for visit, wanted in zip(visits, expected, strict=True):
        if visit.store_id != wanted.store_id:
            yield f"a visit to {visit.store_id} for {wanted.store_id}"
        if (visit.state, visit.closed_by) != (wanted.state, wanted.closed_by):
            yield f"{visit.state} by {visit.closed_by} for {wanted.state} by {wanted.closed_by}"
        for what, at, span in (
            ("entered", visit.entered_at, wanted.entered),
            ("left", visit.left_at, wanted.left),
        ):
            second = None if at is None else (at - BEGINNING).total_seconds()
            if (second is None) is not (span is None) or (
                second is not None and span is not None and not span[0] <= second <= span[1]
            ):
                yield f"{what} at second {second} for {span}"


def _wrong_winners(track: GoldenTrack, near: Iterable[tuple[FenceMatch, ...]]) -> list[str]:
    """While it stays, ``winner`` must win more fixes than all its neighbours together."""
    (stay,) = track.visits
    assert stay.left is not None  # noqa: S101 - who wins has been and gone
    won = [
        _winner(report, matches)
        for report, matches in zip(track.sent, near, strict=True)
        if stay.entered[1] <= (report.occurred_at - BEGINNING).total_seconds() <= stay.left[0]
    ]
    right, others = won.count(track.winner), len(won) - won.count(track.winner) - won.count(None)
    return [] if right > others else [f"{track.winner} wins {right} fixes, others {others}"]


def _winner(report: Report, matches: tuple[FenceMatch, ...]) -> str | None:
    near = [
        Near(m.fence.store_id, m.fence.geofence_id, m.distance_m, m.share, m.fence.shape.inradius_m)
        for m in matches
        if m.overlap > 0 or m.inside
    ]
    return rank(near, report.accuracy_m).winner


def _counted(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"

from dataclasses import replace

import pytest

from cli.simulation.checking import check
from cli.simulation.deciding import FIRST_RULE, decide, fence_index, judged, look
from cli.simulation.golden import GoldenTrack, golden_tracks
from services.geo_api.presence.domain import ClosedBy, VisitState
from services.geo_api.presence.rule import DEFAULT_RULE, PLAIN_RULE

TRACKS = {track.name: track for track in golden_tracks()}


@pytest.mark.parametrize("track", TRACKS.values(), ids=TRACKS)
def test_a_golden_track_gives_the_visits_it_must(track: GoldenTrack) -> None:
    assert check(track).faults == ()


@pytest.mark.parametrize("name", ["edge-hour", "cell-only"])
def test_the_plain_rule_fails_where_an_error_matters(name: str) -> None:
    assert check(TRACKS[name], PLAIN_RULE).faults


def test_at_the_edge_the_plain_rule_flaps_and_the_first_does_not() -> None:
    edge = TRACKS["edge-hour"]
    assert len(check(edge, PLAIN_RULE).visits) > 20
    assert len(check(edge, FIRST_RULE).visits) == 1


def test_in_the_small_store_no_single_fix_arrives() -> None:
    track = TRACKS["small-store"]
    near = look(fence_index(track.shops), track.sent)
    verdicts = [judged(*seen, DEFAULT_RULE) for seen in zip(track.sent, near, strict=True)]
    assert not any(verdict.arrives for verdict in verdicts)
    assert sum("narrow" in verdict.tentative for verdict in verdicts) > 2


def test_without_corroboration_the_small_store_would_never_be_entered() -> None:
    never = replace(DEFAULT_RULE, corroborated_after=DEFAULT_RULE.corroborated_within * 2)
    assert check(TRACKS["small-store"], never).faults == ("0 visits for 1",)


def test_a_dead_phone_expires_and_one_that_leaves_exits() -> None:
    (dead,) = check(TRACKS["flat-battery"]).visits
    (offline,) = check(TRACKS["offline-hour"]).visits
    assert (dead.state, dead.closed_by) == (VisitState.EXPIRED, ClosedBy.GAP)
    assert (offline.state, offline.closed_by) == (VisitState.EXITED, ClosedBy.LEFT)


def test_the_offline_hour_really_comes_late_and_out_of_order() -> None:
    sent = TRACKS["offline-hour"].sent
    assert [r.number for r in sent] != sorted(r.number for r in sent)
    late = max(report.received_at - report.occurred_at for report in sent)
    assert late.total_seconds() > 3_500


def test_what_a_track_does_not_expect_is_said() -> None:
    track = replace(TRACKS["drive-by"], crossed=())
    assert check(track).faults == ("crossed kiosk",)
    cafe = TRACKS["offline-hour"]
    early = replace(cafe, visits=(replace(cafe.visits[0], entered=(0, 10)),))
    assert "entered at second" in check(early).faults[0]
    elsewhere = replace(cafe, visits=(replace(cafe.visits[0], store_id="bar"),))
    assert check(elsewhere).faults == ("a visit to cafe for bar",)
    going_on = replace(cafe, visits=(replace(cafe.visits[0], left=None),))
    assert "for None" in check(going_on).faults[0]


def test_a_check_in_that_is_sent_again_changes_nothing() -> None:
    track = TRACKS["edge-hour"]
    index = fence_index(track.shops)
    thrice = [report for report in track.sent for _ in range(3)]
    once = decide(track.sent, look(index, track.sent), PLAIN_RULE)
    assert decide(thrice, look(index, thrice), PLAIN_RULE) == once

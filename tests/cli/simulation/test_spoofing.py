from datetime import timedelta

import pytest

from cli.simulation.deciding import decide, fence_index, look
from cli.simulation.reports import BEGINNING, Report, Trouble, in_order_of_arrival
from cli.simulation.spoofing import Believed, Spoof, believed, scores, spoofers
from cli.simulation.town import street, walkers
from services.geo_api.presence.rule import DEFAULT_RULE


def judged(sent: list[Report]) -> Believed:
    visits = decide(sent, look(fence_index(street()), sent), DEFAULT_RULE)
    return believed("somebody", sent, visits)


@pytest.mark.parametrize("kind", [Spoof.TELEPORT, Spoof.MOCKED])
def test_who_jumps_or_makes_positions_up_gets_visits_but_no_trust(kind: Spoof) -> None:
    made = judged(spoofers(1, 3, 2, BEGINNING)[kind])
    assert made.visits > 0
    assert made.under == (made.visits, made.visits)


def test_who_replays_a_recorded_way_is_doubted_unless_he_is_the_first() -> None:
    made = judged(spoofers(1, 3, 2, BEGINNING)[Spoof.SHARED])
    assert made.under[0] == 0
    assert 3 * made.under[1] == 2 * made.visits > 0


def test_no_honest_visit_is_under_75() -> None:
    sent = in_order_of_arrival(person.sent for person in walkers(1, 24, 3, Trouble()))
    made = judged(sent)
    assert made.visits > 20
    assert made.under == (0, 0)


def test_a_repeat_keeps_its_first_score() -> None:
    sent = spoofers(1, 1, 2, BEGINNING)[Spoof.TELEPORT]
    assert scores([r for r in sent for _ in range(3)]) == scores(sent)


def test_the_recorded_way_is_the_same_for_all_to_the_last_digit() -> None:
    sent = spoofers(1, 3, 1, BEGINNING)[Spoof.SHARED]
    ways = {
        subject: [(r.lon, r.lat, r.occurred_at) for r in sent if r.subject == subject]
        for subject in {report.subject for report in sent}
    }
    assert len(ways) == 3
    assert len({tuple(way) for way in ways.values()}) == 1


def test_it_all_begins_when_it_is_told_to() -> None:
    later = BEGINNING + timedelta(days=1)
    for sent in spoofers(1, 1, 1, later).values():
        assert later <= sent[0].occurred_at < later + timedelta(minutes=1)

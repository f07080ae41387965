import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta

import pytest

from cli.output import CommandFailed
from cli.simulation.deciding import RULES, decide, fence_index, look
from cli.simulation.plot import plot
from cli.simulation.reports import Trouble, moment
from cli.simulation.sources import GNSS, SOURCES
from cli.simulation.town import RADII_M, street, walkers
from cli.simulation.trial import STEPS, Scale, Trial, _changed_by_order, run_trial
from cli.simulation.trying import rules_with
from services.geo_api.presence.rule import DEFAULT_RULE

SMALL = Scale(seed=5, walkers=24, hours=2)


@pytest.fixture(scope="module")
def trial() -> Trial:
    return run_trial(SMALL)


def test_the_default_rule_is_more_precise_and_flaps_least(trial: Trial) -> None:
    default, first, plain = (trial.of(rule) for rule in ("default", "first", "plain"))
    assert default.precision is not None
    assert first.precision is not None
    assert plain.precision is not None
    assert default.precision > first.precision > plain.precision
    assert default.flaps <= first.flaps < plain.flaps / 5
    assert default.stays == first.stays == plain.stays > 50


def test_with_satellites_hardly_anything_is_wrong_or_missed(trial: Trial) -> None:
    gnss = trial.of("default", "gnss")
    assert gnss.precision is not None
    assert gnss.recall is not None
    assert gnss.precision > 0.9
    assert gnss.recall > 0.9
    assert gnss.flaps == 0


def test_the_order_of_arrival_changes_no_visit(trial: Trial) -> None:
    assert trial.late > 50
    assert trial.changed_by_order == 0
    assert trial.passed
    assert not replace(trial, changed_by_order=1).passed


def test_a_visit_that_the_order_changes_is_counted() -> None:
    (person,) = (p for p in walkers(1, 4, 2, Trouble(offline=1)) if p.source is GNSS)
    near = look(fence_index(street()), person.sent)
    until = moment(10 * 3_600)
    visits = decide(person.sent, near, DEFAULT_RULE, until)
    assert len(visits) > 2
    assert _changed_by_order(person.sent, visits, DEFAULT_RULE, until) == 0
    assert _changed_by_order(person.sent, visits[1:], DEFAULT_RULE, until) == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_another_one_others(trial: Trial) -> None:
    steps: list[None] = []
    again = run_trial(SMALL, advance=lambda: steps.append(None))
    assert again.document() == trial.document()
    assert len(steps) == STEPS
    assert run_trial(replace(SMALL, seed=6, walkers=4)).document() != trial.document()


@pytest.mark.slow
def test_a_rule_that_is_tried_leads_and_has_scores_beside_the_usual_ones(trial: Trial) -> None:
    rules = rules_with([("worst_arrival_accuracy_m", "30"), ("corroborated_within_s", "60")])
    tried = run_trial(SMALL, rules)
    assert tried.leading == "tried"
    assert rules["tried"].corroborated_within == timedelta(seconds=60)
    assert tried.of("tried", "cell").visits == 0
    assert tried.of("default").document() == trial.of("default").document()
    assert plot(tried).count("<title>tried:") > len(SOURCES) * len(RADII_M)
    assert rules_with([]) == RULES


@pytest.mark.parametrize(
    "number", [("margin", "3"), ("clear_margin_m", "21"), ("gap_s", "long"), ("gap_s", "-1")]
)
def test_what_the_rule_does_not_have_is_refused(number: tuple[str, str]) -> None:
    with pytest.raises(CommandFailed, match="--try"):
        rules_with([number])


def test_everybody_is_decided_by_the_seed_and_the_own_number() -> None:
    few, many = (list(walkers(1, count, 1, Trouble())) for count in (4, 8))
    assert [person.sent for person in few] == [person.sent for person in many[:4]]
    assert [person.source for person in few] == list(SOURCES)


def test_every_store_is_truly_visited_and_truly_passed() -> None:
    people = list(walkers(1, 24, 2, Trouble()))
    for shop in street():
        assert any(person.path.stays(shop) for person in people)
        assert any(not person.path.stays(shop) for person in people)


def test_the_plot_is_an_image_of_every_measure_source_and_rule(trial: Trial) -> None:
    svg = ET.fromstring(plot(trial))  # noqa: S314 - our own
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert len(svg.findall(".//svg:rect[@class='frame']", space)) == 3 * len(SOURCES)
    marks = svg.findall(".//svg:circle/svg:title", space)
    assert len(marks) == 3 * 3 * len(SOURCES) * len(RADII_M)
    said = {text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"default", "first", "plain", "recall", "precision", "cell, 210 m"} <= said

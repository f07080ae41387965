"""The scores of a run as tables for people."""

from collections.abc import Mapping

from cli.output import Output
from cli.simulation.scoring import Score
from cli.simulation.sources import SOURCES
from cli.simulation.town import RADII_M
from cli.simulation.trial import Trial

_RULES = {
    "tried": "the default with the numbers given",
    "default": "enter by overlap or by two fixes, leave only when clear",
    "first": "enter at d <= 0, leave only when clear",
    "plain": "d <= 0 is inside, all else outside",
}


def show(trial: Trial, output: Output) -> None:
    scale = trial.scale
    output.say(
        f"{scale.walkers} walkers for {scale.hours:g} h (seed {scale.seed}): "
        f"{trial.check_ins:,} check-ins, {trial.late:,} of them late.\n"
    )
    output.table([_of_rule(trial, rule) for rule in trial.rules])
    output.say("By source of position and radius of the geofence: precision / recall / flaps")
    output.table(_cells(trial))
    output.say(f"Golden tracks, by the rule {trial.leading}")
    output.table([checked.document() for checked in trial.golden])
    output.say("Trust: visits of people who pretend, and of honest ones, by the opening check-in")
    output.table([one.document() for one in trial.believed])
    output.say(
        f"Had all {trial.late:,} late check-ins come in order, {trial.changed_by_order} visits of "
        f"the rule {trial.leading} would be others."
    )


def _of_rule(trial: Trial, rule: str) -> dict[str, object]:
    score = trial.of(rule)
    told = score.document()
    return {
        "rule": rule,
        "what it is": _RULES[rule],
        "stays": score.stays,
        "visits": score.visits,
        "precision": _two(score.precision),
        "recall": _two(score.recall),
        "flaps/1,000": _one(score.flaps_per_1000),
        "enter after s": _one(told["enter_delay_s"]),
        "exit after s": _one(told["exit_delay_s"]),
        "time misplaced": _percent(told["misplaced_share"]),
    }


def _cells(trial: Trial) -> list[Mapping[str, object]]:
    return [
        {
            "source": f"{source.name} {source.accuracy_m:g} m",
            "radius m": radius_m,
            "stays": trial.scores["default", source.name, f"sim-{radius_m}"].stays,
            **{
                rule: _of_cell(trial.scores[rule, source.name, f"sim-{radius_m}"])
                for rule in trial.rules
            },
        }
        for source in SOURCES
        for radius_m in RADII_M
    ]


def _of_cell(score: Score) -> str:
    return f"{_two(score.precision)} / {_two(score.recall)} / {_one(score.flaps_per_1000)}"


def _one(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"

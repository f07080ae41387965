"""A rule of one's own: the default with other numbers, to see what they would change."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cli.output import CommandFailed
from cli.simulation.deciding import RULES
from services.geo_api.presence.fences import UNCERTAIN_BAND_M
from services.geo_api.presence.rule import DEFAULT_RULE, ArrivalRule

TRIED = "tried"

_NUMBERS = (
    "enter_overlap",
    "enter_overlap_large",
    "large_inradius_m",
    "worst_arrival_accuracy_m",
    "clear_margin_m",
    "vague_over_m",
)
_SECONDS = {
    "corroborated_after_s": "corroborated_after",
    "corroborated_within_s": "corroborated_within",
    "gap_s": "gap",
}
NAMES = (*_NUMBERS, *_SECONDS)


def rules_with(numbers: Sequence[tuple[str, str]]) -> dict[str, ArrivalRule]:
    """The usual rules and, first where there are ``numbers``, the default with them as ``TRIED``.

    Raises CommandFailed for a name that the rule does not have, and a number that it cannot have.
    """
    if not numbers:
        return dict(RULES)
    changes: dict[str, Any] = {}
    for name, text in numbers:
        if name not in NAMES:
            raise CommandFailed(f"--try: the rule has no {name}.", f"It has: {', '.join(NAMES)}")
        value = _number(name, text)
        if name == "clear_margin_m" and value > UNCERTAIN_BAND_M:
            most = f"{UNCERTAIN_BAND_M:g}"
            raise CommandFailed(
                f"--try {name}: {text} is over {most}.",
                f"Matching looks for geofences no further than a fix's accuracy and {most} m.",
            )
        if name in _SECONDS:
            changes[_SECONDS[name]] = timedelta(seconds=value)
        else:
            changes[name] = value
    return {TRIED: replace(DEFAULT_RULE, name=TRIED, **changes), **RULES}


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise CommandFailed(f"--try {name}: {text} is no number from 0 on.")
    return value

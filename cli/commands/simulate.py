"""``./solomo simulate``: how well rules of arrival find the visits of people whose ways are known."""

import argparse
import asyncio
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from cli.arguments import between
from cli.client import TIMEOUT, add_connection_arguments, bearer, geo_url
from cli.output import CommandFailed, Output
from cli.progress import file_progress
from cli.rows import pairs
from cli.simulation.deciding import decide, fence_index, look
from cli.simulation.plot import plot
from cli.simulation.reports import Report, Trouble, in_order_of_arrival
from cli.simulation.sending import Comparison, Installation
from cli.simulation.showing import show
from cli.simulation.spoofing import spoofers
from cli.simulation.town import street, walkers
from cli.simulation.trial import STEPS, Scale, Trial, run_trial
from cli.simulation.trying import NAMES, rules_with
from cli.tally import summary
from services.geo_api.presence.rule import RULES

_EXAMPLES = """examples:
  ./solomo simulate                            compare the rules, a few seconds
  ./solomo simulate --out rules.svg            and draw it
  ./solomo simulate --seed 7 --walkers 400     other people, and more of them
  ./solomo simulate --try worst_arrival_accuracy_m=100
                                               what another number of the rule would change
  ./solomo simulate --json | jq '.cells[]'     every number
  ./solomo simulate --send --walkers 20        send the check-ins to this installation and
                                               compare its visits; leaves stores sim-25 to
                                               sim-200 and the people behind
docs/simulation.md tells what is simulated and what the numbers say.
"""

_AFTER = timedelta(hours=1)
"""Errands may run over the hours asked for; all must be past when they are sent."""

_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    usual, add = Scale(), parser.add_argument
    add("--seed", type=between(0, 2**32 - 1), default=usual.seed, metavar="N",
        help=f"other people, errors and troubles (default: {usual.seed})")  # fmt: skip
    add("--walkers", type=between(4, 100_000), default=usual.walkers, metavar="N",
        help=f"who run errands, a quarter by each source of position (default: {usual.walkers})")  # fmt: skip
    add("--hours", type=between(1, 48), default=usual.hours, metavar="H",
        help=f"for how long each (default: {usual.hours:g})")  # fmt: skip
    add("--try", action="append", default=[], dest="tried", metavar="NAME=VALUE",
        help="score the default rule with another number, too, and judge the golden tracks by it; "
        f"may be repeated; names: {', '.join(NAMES)}")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="draw the scores as an SVG")
    add("--send", action="store_true",
        help="send the check-ins to an installation instead, and compare the visits it lists")  # fmt: skip
    add("--rule", choices=[*RULES], default="default",
        help="with --send: the rule that the installation applies (default: default)")  # fmt: skip
    add_connection_arguments(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    scale = Scale(arguments.seed, arguments.walkers, arguments.hours)
    return _send(scale, arguments, output) if arguments.send else _try(scale, arguments, output)


def _try(scale: Scale, arguments: argparse.Namespace, output: Output) -> int:
    """1 says that a golden track, or the order of arrival, gave other visits than it must."""
    rules = rules_with(pairs("--try", arguments.tried))
    began_s = time.monotonic()
    with output.progress() as progress:
        task = progress.add_task("Simulating", total=STEPS)
        trial = run_trial(scale, rules, lambda: progress.advance(task))
    document = {**trial.document(), "seconds": round(time.monotonic() - began_s, 1)}
    _draw(trial, arguments.out)
    show(trial, output)
    output.result(document, f"Took {document['seconds']} s.")
    return 0 if trial.passed else 1


def _draw(trial: Trial, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.write_text(plot(trial), encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from error


def _send(scale: Scale, arguments: argparse.Namespace, output: Output) -> int:
    """1 says that the installation's visits are not those expected."""
    run_name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    sent = _check_ins(scale)
    comparison = asyncio.run(_compare(run_name, sent, arguments, output))
    document = _document(run_name, comparison)
    lines = [summary(document["check_ins"]), "", _verdict(comparison)]
    for what, visits in (("missing", comparison.missing), ("not expected", comparison.surplus)):
        lines += [f"  {what}: {' '.join(map(str, told))}" for told in visits[:_SHOWN]]
    output.result(document, "\n".join(lines))
    return 0 if comparison.is_equal else 1


def _check_ins(scale: Scale) -> list[Report]:
    """Those of walkers and spoofers, such that all of them have just been."""
    now = datetime.now(UTC).replace(microsecond=0)
    beginning = now - timedelta(hours=scale.hours) - _AFTER
    people = walkers(scale.seed, scale.walkers, scale.hours, Trouble(), beginning)
    pretended = spoofers(scale.seed, 2, scale.hours, beginning)
    return in_order_of_arrival([*(person.sent for person in people), *pretended.values()])


async def _compare(
    run_name: str, sent: list[Report], arguments: argparse.Namespace, output: Output
) -> Comparison:
    near = look(fence_index(street()), sent)
    expected = decide(sent, near, RULES[arguments.rule])
    marketer, server = (bearer(arguments, role) for role in ("marketer", "server"))
    async with httpx.AsyncClient(
        base_url=geo_url(arguments), headers=server, timeout=TIMEOUT, trust_env=False
    ) as client:
        installation = Installation(client, marketer)
        await installation.build(street())
        with file_progress(output, "Sending", len(sent)) as report:
            return await installation.compare(run_name, sent, expected, report)


def _document(run_name: str, comparison: Comparison) -> Mapping[str, Any]:
    return {
        "run": run_name,
        "check_ins": comparison.tally.document(comparison.took_s),
        "visits": comparison.listed,
        "equal": comparison.is_equal,
        "missing": comparison.missing,
        "surplus": comparison.surplus,
    }


def _verdict(comparison: Comparison) -> str:
    if comparison.is_equal:
        return f"{comparison.listed:,} visits listed, all of them as expected."
    return (
        f"{comparison.listed:,} visits listed; {len(comparison.missing):,} are missing and "
        f"{len(comparison.surplus):,} are not expected. Does the installation apply this rule?"
    )

"""``./solomo check-matching``: whether fences in memory agree with PostGIS, on any number of points."""

import argparse
import asyncio
import time

import asyncpg

from cli.home import Home
from cli.installation import load
from cli.matching_check import Tally, check
from cli.matching_families import FAMILIES
from cli.output import CommandFailed, Output

_EXAMPLES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--points", type=_count, default=100_000, metavar="N",
        help="how many points in all, over families of equal size (default: 100000)")  # fmt: skip
    add("--seed", type=_seed, default=1, metavar="S", help="other points (default: 1)")
    add("--database", metavar="URL",
        help="a PostGIS to ask instead of the installation's; nothing is stored there")  # fmt: skip


def _count(text: str) -> int:
    count = int(text)
    if count < len(FAMILIES):
        raise argparse.ArgumentTypeError(f"must be {len(FAMILIES)} or more, one for each family")
    return count


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return seed


def run(arguments: argparse.Namespace, output: Output) -> int:
    url = arguments.database or load(Home.find()).database.url
    started_s = time.monotonic()
    tallies = asyncio.run(_check_all(url, arguments, output))
    wrong = [found for tally in tallies for found in tally.disagreements]
    points = sum(tally.points for tally in tallies)
    output.table([tally.row() for tally in tallies])
    for found in wrong[:_EXAMPLES]:
        output.say(found.sentence())
    document = {
        "points": points,
        "seed": arguments.seed,
        "disagreements": len(wrong),
        "families": [tally.row() for tally in tallies],
        "examples": [found.document() for found in wrong[:_EXAMPLES]],
    }
    took_s = time.monotonic() - started_s
    text = f"{points:,} points in {took_s:.0f} s: {len(wrong):,} disagreements with PostGIS."
    output.result(document, text)
    return 1 if wrong else 0


async def _check_all(url: str, arguments: argparse.Namespace, output: Output) -> list[Tally]:
    """Raises CommandFailed when there is no PostGIS to ask."""
    share, rest = divmod(arguments.points, len(FAMILIES))
    plain = url.replace("postgresql+asyncpg://", "postgresql://")
    try:
        connection = await asyncpg.connect(plain)
    except (OSError, asyncpg.PostgresError) as error:
        hint = "Start the installation with ./solomo up, or name a database with --database."
        raise CommandFailed(f"The database cannot be reached: {error}", hint) from error
    try:
        with output.progress() as progress:
            task = progress.add_task("Points", total=arguments.points)
            return [
                await check(
                    connection,
                    family,
                    arguments.seed,
                    share + (number < rest),
                    lambda done: progress.advance(task, done),
                )
                for number, family in enumerate(FAMILIES)
            ]
    except asyncpg.UndefinedFunctionError as error:
        hint = "Run in it, as its owner: CREATE EXTENSION postgis"
        raise CommandFailed("The database has no PostGIS.", hint) from error
    finally:
        await connection.close()

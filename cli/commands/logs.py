"""``./solomo logs``: show or follow what the parts write."""

import argparse
import os
import shutil
import sys

from cli.arguments import between
from cli.cluster import tail
from cli.home import Home
from cli.output import CommandFailed, Output

_FILES = {"geo": "geo_api.log", "member": "member_api.log", "postgres": "postgres.log"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("part", nargs="?", choices=_FILES, help="one part; default: all")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    parser.add_argument(
        "-n", "--lines", type=between(1, 1_000_000), default=50, help="lines of each (default: 50)"
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    home = Home.find()
    home.require()
    names = [arguments.part] if arguments.part else list(_FILES)
    paths = {name: home.logs / _FILES[name] for name in names}
    existing = {name: path for name, path in paths.items() if path.exists()}
    if arguments.follow and existing:
        _follow([str(path) for path in existing.values()], arguments.lines)
    shown = {name: tail(path, arguments.lines) for name, path in existing.items()}
    for name, text in shown.items():
        output.say(f"==> {paths[name]}\n{text}\n")
    output.result({name: text.splitlines() for name, text in shown.items()})
    return 0


def _follow(paths: list[str], lines: int) -> None:
    """Become ``tail -F``, which also follows a log that is begun anew."""
    program = shutil.which("tail")
    if program is None:
        raise CommandFailed("There is no tail on this machine.", "Look at the files in logs/.")
    sys.stdout.flush()
    os.execv(program, [program, "-n", str(lines), "-F", *paths])  # noqa: S606 - no shell is wanted

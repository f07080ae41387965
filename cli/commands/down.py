"""``./solomo down``: stop everything; the data stays."""

import argparse

from cli.home import Home
from cli.installation import Installation, load, locked
from cli.output import Output


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(_arguments: argparse.Namespace, output: Output) -> int:
    home = Home.find()
    home.require()
    with locked(home, output):
        stopped = stop(load(home), output)
    text = f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running."
    output.result({"stopped": stopped}, text)
    return 0


def stop(installation: Installation, output: Output) -> list[str]:
    """Callers first, the database last; gives back what was running."""
    stopped = []
    for part in reversed(installation.parts):
        if part.processes:
            output.step(f"Stopping {part.name} ...")
            part.stop()
            stopped.append(part.name)
    if installation.cluster is not None and installation.cluster.process is not None:
        output.step("Stopping PostgreSQL ...")
        installation.cluster.stop()
        stopped.append("postgres")
    return stopped

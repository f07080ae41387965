"""A progress bar over the bytes of a file, with a count of its own beside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cli.output import Output

Report = Callable[[int, str], None]
"""Takes how much is done and what to say beside the bar."""


@contextmanager
def file_progress(output: Output, label: str, total: int) -> Iterator[Report]:
    """A bar on standard error for a person at a terminal, else nothing; ``total`` in bytes."""
    console = Console(stderr=True)
    shown = console.is_terminal and not output.as_json
    columns = (
        TextColumn(label),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
    )
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(
        *columns, *times, console=console, disable=not shown, refresh_per_second=4
    ) as progress:
        task = progress.add_task(label, total=total, said="")
        yield lambda done, said: progress.update(task, completed=done, said=said)

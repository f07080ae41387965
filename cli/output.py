"""What a command says: quiet lines for people, one JSON document for programs.

Results go to standard output. Progress and complaints go to standard error, so that
``token=$(./solomo token server)`` holds the token and nothing else. With ``--json`` standard
output is exactly one JSON document, and the lines for people are left out.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_WIDTH_IN_A_PIPE = 200
"""Columns where there is no terminal, so that addresses and paths stay whole for programs."""


class CommandFailed(Exception):  # noqa: N818 - failures are named as whole phrases, without "Error"
    """A command cannot go on; ``message`` says what is wrong and ``hint`` what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Output:
    """The voice of one command run."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def step(self, text: str) -> None:
        """A line about the work going on, to standard error; silent with ``--json``."""
        if not self.as_json:
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str = "") -> None:
        """A line of the result for people; silent with ``--json``."""
        if not self.as_json:
            print(text, flush=True)

    def result(self, document: Any, text: str | None = None) -> None:
        """The command's result: ``document`` with ``--json``, else ``text`` when it is given."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False, default=str), flush=True)
        elif text is not None:
            print(text, flush=True)

    def table(self, rows: list[Mapping[str, object]]) -> None:
        """Rows with equal keys as aligned columns; silent with ``--json``."""
        if self.as_json or not rows:
            return
        from rich import box  # noqa: PLC0415 - rich is loaded only where it is used
        from rich.table import Table  # noqa: PLC0415

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in rows[0]:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        self.console.print(table)

    @contextmanager
    def progress(self) -> Iterator["Progress"]:
        """A progress bar on standard error, shown only to a person at a terminal."""
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True)
        shown = console.is_terminal and not self.as_json
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, *times, console=console, disable=not shown) as progress:
            yield progress

    def failure(self, error: CommandFailed) -> None:
        """Tell why the command ends here."""
        if self.as_json:
            print(json.dumps({"error": {"message": error.message, "hint": error.hint}}))
            return
        print(f"solomo: {error.message}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)

    @cached_property
    def console(self) -> "Console":
        from rich.console import Console  # noqa: PLC0415

        console = Console(soft_wrap=True, highlight=False)
        if not console.is_terminal:
            console.width = _WIDTH_IN_A_PIPE
        return console

"""Faults to order: errors, slow answers, connections that are cut."""

from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong.

    ``error``: ``errcode`` in place of an answer. ``slow``: the answer comes late. ``cut``: the
    connection is closed without an answer. ``half``: it is closed in the middle of one. ``page``:
    a proxy's HTML page with status 502.
    """

    ERROR = "error"
    SLOW = "slow"
    CUT = "cut"
    HALF = "half"
    PAGE = "page"


@dataclass(slots=True)
class Fault:
    """``path`` is the beginning of the addresses concerned; ``left`` how often yet, None: always.

    ``handled``, with ``cut`` and ``page``: what was asked for happens all the same, so that the
    caller cannot know. With ``slow`` and ``half`` it always does, with ``error`` never.
    """

    kind: FaultKind
    path: str = "/"
    errcode: int = -1
    seconds: float = 6.0
    left: int | None = 1
    handled: bool = False


@dataclass(slots=True)
class Faults:
    ordered: list[Fault] = field(default_factory=list)

    def take(self, path: str) -> Fault | None:
        """The fault, ordered first, that a call of ``path`` meets; one of its times is used."""
        met = next((fault for fault in self.ordered if path.startswith(fault.path)), None)
        if met is not None and met.left is not None:
            met.left -= 1
            if not met.left:
                self.ordered.remove(met)
        return met

"""Where a replay has got to, kept in a small file, so that the next run starts there."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from cli.output import CommandFailed

_EVERY_S = 1.0


@dataclass(slots=True)
class Acknowledged:
    """How many check-ins, from the first on, have their final answer; written once a second.

    ``replay`` tells this file and these options from others. Without a path nothing is kept.
    """

    path: Path | None
    replay: str
    count: int = 0
    _written_at: float = field(default=0.0)

    @classmethod
    def load(cls, path: Path | None, replay: str) -> "Acknowledged":
        """Raises CommandFailed when the file is that of another replay, or has no folder."""
        if path is not None and not path.parent.is_dir():
            raise CommandFailed(f"--state {path}: there is no folder {path.parent}.")
        if path is None or not path.exists():
            return cls(path, replay)
        try:
            known = orjson.loads(path.read_bytes())
            count, kept_for = int(known["acknowledged"]), known["replay"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandFailed(f"{path} is not the state of a replay.") from error
        if kept_for != replay:
            hint = "Give another file to --state, or delete this one to start over."
            raise CommandFailed(f"{path} belongs to another file or other options.", hint)
        return cls(path, replay, count)

    def note(self, count: int, at_s: float) -> None:
        """Take the new count, ``at_s`` on a monotonic clock."""
        self.count = count
        if at_s - self._written_at >= _EVERY_S:
            self._written_at = at_s
            self.save()

    def save(self) -> None:
        if self.path is None:
            return
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        draft.write_bytes(orjson.dumps({"replay": self.replay, "acknowledged": self.count}))
        draft.replace(self.path)


def fingerprint(path: Path, options: object) -> str:
    """Of what a replay sends: the file's bytes and the options that shape its check-ins."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").digest()
    return hashlib.sha256(content + orjson.dumps(options)).hexdigest()

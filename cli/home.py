"""The data folder of an installation: where everything lies, and the settings it was given.

::

    keys/{operator,geo,member}/   keys; the backup must hold them
    secrets.json                  database passwords, readable by the owner only
    settings.json                 ports, settings of the services and where the private cluster lies
    postgres/                     the private cluster, unless settings.json names another place
    logs/  run/                   log files; pid files
"""

import json
import os
import pwd
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cli import remembered
from cli.output import CommandFailed

PROJECT = Path(__file__).resolve().parent.parent
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``up`` chose. A ``SOLOMO_*`` variable wins over what was recorded.

    ``database_port`` is None until a private cluster was started. ``services`` are the variables
    that the services read (:mod:`cli.remembered`).
    """

    geo_port: int = 8001
    member_port: int = 8002
    workers: int = 1
    database_port: int | None = None
    database_directory: str | None = None
    services: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """By the name under which each may be given; the port of a private cluster not among it."""
        return {
            "SOLOMO_GEO_PORT": str(self.geo_port),
            "SOLOMO_MEMBER_PORT": str(self.member_port),
            "SOLOMO_WORKERS": str(self.workers),
            **self.services,
        }

    @property
    def geo_url(self) -> str:
        return f"http://127.0.0.1:{self.geo_port}"

    @property
    def member_url(self) -> str:
        return f"http://127.0.0.1:{self.member_port}"


_VARIABLES = {
    "SOLOMO_GEO_PORT": "geo_port",
    "SOLOMO_MEMBER_PORT": "member_port",
    "SOLOMO_DB_PORT": "database_port",
    "SOLOMO_WORKERS": "workers",
}


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords of the database roles; ``database_url`` is the caller's own server, if any."""

    admin_password: str
    geo_password: str
    member_password: str
    database_url: str | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """An installation's data folder."""

    path: Path

    @classmethod
    def find(cls) -> "Home":
        """``SOLOMO_HOME``, else ``.solomo`` in the project's folder."""
        return cls(
            Path(os.environ.get("SOLOMO_HOME") or PROJECT / ".solomo").expanduser().resolve()
        )

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def exists(self) -> bool:
        return (self.path / "settings.json").exists()

    def require(self) -> None:
        """Raises CommandFailed when nothing was set up here yet."""
        if not self.exists:
            raise CommandFailed(f"Nothing is installed in {self.path}.", "Start with: ./solomo up")

    def create(self) -> None:
        """Make the folders. Others may pass through, since the cluster's user must; not look.

        Raises CommandFailed when the folder cannot be written or is another user's installation.
        """
        self._require_own()
        try:
            if not self.path.exists():
                self.path.mkdir(parents=True)
                self.path.chmod(0o711)
            for folder in (self.keys, self.logs, self.run):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CommandFailed(
                f"The data folder {self.path} cannot be written: {error.strerror}.",
                "Run as the user who made it, or give another folder in SOLOMO_HOME.",
            ) from error

    def _require_own(self) -> None:
        """Root could use anybody's installation, and would leave files that its owner cannot."""
        try:
            owner = (self.path / "settings.json").stat().st_uid
        except OSError:
            return
        if owner != os.geteuid():
            name = pwd.getpwuid(owner).pw_name
            raise CommandFailed(
                f"The installation in {self.path} belongs to {name}.",
                f"Run as {name}, or give another folder in SOLOMO_HOME.",
            )

    def settings(self) -> Settings:
        """What was recorded, overridden by the environment; an empty value there unsets."""
        recorded = _read(self.path / "settings.json")
        known = {field.name for field in fields(Settings)}
        chosen = {name: value for name, value in recorded.items() if name in known}
        chosen["services"] = remembered.merged(recorded.get("services", {}))
        for name in _emptied():
            chosen.pop(name, None)
        return Settings(**(chosen | _from_environment()))

    def record(self, settings: Settings) -> None:
        _write(self.path / "settings.json", asdict(settings))

    def secrets(self) -> Secrets:
        """The passwords, made at the first call."""
        path = self.path / "secrets.json"
        if not path.exists():
            self.record_secrets(Secrets(*(secrets.token_hex(24) for _ in range(3))))
        return Secrets(**_read(path))

    def record_secrets(self, changed: Secrets) -> None:
        _write(self.path / "secrets.json", asdict(changed))


def _emptied() -> set[str]:
    """The settings that go back to their defaults; a cluster keeps the port that it was given."""
    empty = {field for variable, field in _VARIABLES.items() if os.environ.get(variable) == ""}
    return empty - {"database_port"}


def _from_environment() -> dict[str, int]:
    return {
        field: _number(variable, os.environ[variable])
        for variable, field in _VARIABLES.items()
        if os.environ.get(variable)
    }


def _number(variable: str, text: str) -> int:
    limit = 64 if variable == "SOLOMO_WORKERS" else MAX_PORT
    if not text.isdecimal() or not 1 <= int(text) <= limit:
        raise CommandFailed(f"{variable} is {text!r}: it must be a whole number from 1 to {limit}.")
    return int(text)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        hint = "Run as the user who ran ./solomo up, or give another folder in SOLOMO_HOME."
        raise CommandFailed(f"{path} belongs to another user.", hint) from error
    except ValueError as error:
        raise CommandFailed(f"{path} is damaged: {error}.", "Restore it from a backup.") from error
    return dict(document)


def _write(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all, readable by the owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=2)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)

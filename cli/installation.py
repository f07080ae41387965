"""An installation as a whole: its server, its database, its services."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cli import processes, remembered
from cli.cluster import ADMIN, Cluster, can_enter, owner_of
from cli.database import DEFAULT_DATABASE, Database, parse
from cli.home import Home, Settings
from cli.output import CommandFailed, Output
from cli.parts import Part, environment_of, parts

_FIRST_DATABASE_PORT = 54_320
_LAST_DATABASE_PORT = 54_419
_ELSEWHERE = Path("/var/lib/solomo")


@dataclass(frozen=True, slots=True)
class Installation:
    """The data folder, what was chosen for it, and the cluster if it has one of its own."""

    home: Home
    settings: Settings
    database: Database
    cluster: Cluster | None

    @property
    def parts(self) -> tuple[Part, Part]:
        return parts(self.home, self.settings)

    @property
    def urls(self) -> dict[str, str]:
        return {"geo_api": self.settings.geo_url, "member_api": self.settings.member_url}


def load(home: Home) -> Installation:
    """The installation as it was recorded, for every command but ``up``.

    Raises CommandFailed when there is none.
    """
    home.require()
    settings, secrets = home.settings(), home.secrets()
    if secrets.database_url:
        return Installation(home, settings, parse(secrets.database_url), None)
    cluster = _cluster(home, settings)
    return Installation(home, settings, _own_database(settings, secrets.admin_password), cluster)


def prepare(home: Home, external_url: str | None, output: Output) -> Installation:
    """Make folders and secrets, and settle on ports and a place for the cluster, for ``up``.

    Raises CommandFailed when a port is another program's or named twice, a service would not start
    with a setting, or ``external_url`` contradicts how the installation was made; then what was
    settled before stays, and what runs goes on.
    """
    home.create()
    settings = home.settings()
    _require_two_ports(settings)
    for part in parts(home, settings):
        part.require_port()
        if remembered.given():
            part.require_settings(environment_of(part, settings, _own_database(settings, "")))
    secrets = home.secrets()
    if external_url and external_url != secrets.database_url:
        _refuse_second_database(settings)
        secrets = replace(secrets, database_url=external_url)
        parse(external_url)
        home.record_secrets(secrets)
    if not secrets.database_url:
        settings = _settle_cluster(home, settings, output)
    home.record(settings)
    return load(home)


@contextmanager
def locked(home: Home, output: Output) -> Iterator[None]:
    """One ``up``, ``down`` or ``reset`` at a time; the lock goes with the process."""
    with (home.path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            output.step("Another ./solomo works on this installation: waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cluster(home: Home, settings: Settings) -> Cluster:
    directory = Path(settings.database_directory or home.path / "postgres")
    return Cluster(
        directory=directory,
        log=home.logs / "postgres.log",
        port=settings.database_port or _FIRST_DATABASE_PORT,
        password=home.secrets().admin_password,
        owner=owner_of(directory),
    )


def _own_database(settings: Settings, password: str) -> Database:
    port = settings.database_port or _FIRST_DATABASE_PORT
    return Database("127.0.0.1", port, DEFAULT_DATABASE, ADMIN, password)


def _require_two_ports(settings: Settings) -> None:
    """Raises CommandFailed, else the service that comes second would seem to run."""
    if settings.geo_port == settings.member_port:
        raise CommandFailed(
            f"geo_api and member_api cannot both have port {settings.geo_port}.",
            "Give them different ports in SOLOMO_GEO_PORT and SOLOMO_MEMBER_PORT.",
        )


def _refuse_second_database(settings: Settings) -> None:
    if settings.database_directory:
        raise CommandFailed(
            f"This installation has its own cluster in {settings.database_directory}, "
            "and SOLOMO_DATABASE_URL names another server.",
            "Unset SOLOMO_DATABASE_URL, or give another data folder in SOLOMO_HOME.",
        )


def _settle_cluster(home: Home, settings: Settings, output: Output) -> Settings:
    """Choose where the cluster lies, at the first run, and a port that is free."""
    if settings.database_directory is None:
        inside = home.path / "postgres"
        place = inside if can_enter(owner_of(inside), home.path) else _outside(home)
        settings = replace(settings, database_directory=str(place))
    cluster = _cluster(home, settings)
    if cluster.process is not None:
        recorded = _recorded_port(cluster)
        return replace(settings, database_port=recorded or settings.database_port)
    return replace(settings, database_port=_free_port(settings.database_port, output))


def _outside(home: Home) -> Path:
    """A folder that the cluster's user can reach, told by the data folder it belongs to."""
    return _ELSEWHERE / hashlib.sha256(str(home.path).encode()).hexdigest()[:16]


def _recorded_port(cluster: Cluster) -> int | None:
    """The port a running server was started with: the fourth line of its pid file."""
    lines = (cluster.directory / "postmaster.pid").read_text().splitlines()
    return int(lines[3]) if len(lines) > 3 and lines[3].isdecimal() else None  # noqa: PLR2004


def _free_port(wanted: int | None, output: Output) -> int:
    if wanted and processes.port_is_free(wanted):
        return wanted
    for port in range(_FIRST_DATABASE_PORT, _LAST_DATABASE_PORT + 1):
        if processes.port_is_free(port):
            if wanted:
                by = processes.listener(wanted) or "another program"
                output.step(f"Port {wanted} is taken by {by}; PostgreSQL gets port {port}.")
            return port
    raise CommandFailed("No free port was found for PostgreSQL.", "Name one in SOLOMO_DB_PORT.")


def require_space(home: Home, at_least_bytes: int) -> None:
    """Raises CommandFailed when the disk of the data folder is nearly full."""
    free = shutil.disk_usage(home.path).free
    if free < at_least_bytes:
        raise CommandFailed(
            f"Only {free // 1024**2} MB are free on the disk of {home.path}; "
            f"{at_least_bytes // 1024**2} MB are needed.",
            "Make room, or give a folder on another disk in SOLOMO_HOME.",
        )

"""The private PostgreSQL cluster of an installation: made, started, stopped, recovered.

PostgreSQL refuses to run as root, so root hands the cluster to an unprivileged user. A server
counts as running when a process works in the data folder, whatever ``postmaster.pid`` says;
thus a kill -9, a restart of the machine and a re-used process number all end well.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from cli import processes
from cli.output import CommandFailed, Output
from cli.postgres import Programs, require_programs

ADMIN = "solomo_admin"
_START_S = 300
_ORPHANS_S = 10.0
_POLL_S = 0.05
_STOP_S = 60.0
_CONFIGURATION = Template(Path(__file__).with_name("postgresql.conf").read_text())
_PAGES, _PAGE_BYTES = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")


def buffers_mb(memory_mb: int) -> int:
    """For the pages in use: an eighth of a machine's memory, at least 512 MB, at most 2 GB.

    With 11 million stored check-ins 2 GB spared a check-in 2.5 pages read and 3.8 written, and
    half of the system's time.
    """
    return min(max(memory_mb // 8, 512), 2048)


DURABLE = (
    "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n"
    f"shared_buffers = {buffers_mb(_PAGES * _PAGE_BYTES >> 20)}MB\n"
)
THROW_AWAY = (
    "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nshared_buffers = 256MB\n"
    "max_connections = 400\nmax_wal_size = 256MB\nwal_level = minimal\nmax_wal_senders = 0\n"
)
"""For databases of tests only: a crash loses them, and several tests race with crowds at once."""


class PortTaken(CommandFailed):
    """Another program was quicker; the next start takes another port."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster in ``directory``, run by the operating system's user ``owner``."""

    directory: Path
    log: Path
    port: int
    password: str = field(repr=False)
    owner: pwd.struct_passwd
    promise: str = DURABLE

    @property
    def exists(self) -> bool:
        return (self.directory / "PG_VERSION").exists()

    @property
    def major(self) -> int | None:
        """The version an existing data folder was made by."""
        if not self.exists:
            return None
        return int((self.directory / "PG_VERSION").read_text().strip())

    @property
    def process(self) -> int | None:
        """The server's process number, if it runs."""
        try:
            recorded = int((self.directory / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None
        working = processes.working_in(self.directory)
        return recorded if recorded in working and processes.is_alive(recorded) else None

    @property
    def admin_url(self) -> str:
        """The superuser, in the maintenance database."""
        return f"postgresql://{ADMIN}:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self, output: Output) -> None:
        """Make the cluster if it is missing and start it, recovering from a crash.

        Raises CommandFailed when the programs are missing or the server does not come up.
        """
        programs = require_programs(output, self.major)
        if not self.exists:
            output.step(f"Making a PostgreSQL {programs.major} cluster in {self.directory} ...")
            self._make(programs)
        self._clear_the_way()
        self._configure()
        command = (programs.bin / "pg_ctl", "start", "-w", "-t", str(_START_S), "-s")
        with self.log.open("ab") as log:
            code = self._run((*command, "-D", self.directory), log=log.fileno())
        if code != 0:
            if not processes.port_is_free(self.port):
                by = processes.listener(self.port) or "another program"
                raise PortTaken(
                    f"Port {self.port} was taken by {by} while PostgreSQL was starting.",
                    "Run ./solomo up again: it takes another port.",
                )
            raise CommandFailed(f"PostgreSQL did not start:\n{tail(self.log)}", f"See {self.log}.")

    def stop(self) -> None:
        """Ask clients to go and stop; then stop without asking; then end it (recovers later)."""
        for number, within_s in (
            (signal.SIGINT, _STOP_S),
            (signal.SIGQUIT, _ORPHANS_S),
            (signal.SIGKILL, _ORPHANS_S),
        ):
            process = self.process
            if process is None or not processes.stop(
                [process], with_signal=number, within_s=within_s
            ):
                return

    def delete(self) -> None:
        """Stop and remove everything."""
        self.stop()
        processes.stop(
            processes.working_in(self.directory), with_signal=signal.SIGKILL, within_s=_ORPHANS_S
        )
        shutil.rmtree(self.directory, ignore_errors=True)

    def _make(self, programs: Programs) -> None:
        """Run initdb aside, then moved into place: an interrupted one leaves nothing behind."""
        draft = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        os.chown(draft, self.owner.pw_uid, self.owner.pw_gid)
        with tempfile.NamedTemporaryFile("w") as password, tempfile.TemporaryFile() as log:
            password.write(self.password)
            password.flush()
            os.chown(password.name, self.owner.pw_uid, self.owner.pw_gid)
            access = ("--username", ADMIN, "--auth=scram-sha-256", f"--pwfile={password.name}")
            text = ("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
            command = (programs.bin / "initdb", "-D", draft, *access, *text)
            code = self._run(command, log=log.fileno())
            log.seek(0)
            if code != 0:
                raise CommandFailed(f"The cluster could not be made:\n{log.read().decode()}")
        with (draft / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude = 'solomo.conf'\n")
        draft.rename(self.directory)

    def _configure(self) -> None:
        path = self.directory / "solomo.conf"
        path.write_text(_CONFIGURATION.substitute(port=self.port, promise=self.promise))
        os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def _clear_the_way(self) -> None:
        """After a kill -9: let the orphans go, then drop the pid file.

        Once nothing works in the folder the file names a zombie or a stranger, for both of
        which PostgreSQL would refuse to start.
        """
        deadline = time.monotonic() + _ORPHANS_S
        while (orphans := processes.working_in(self.directory)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        processes.stop(orphans, with_signal=signal.SIGKILL, within_s=_ORPHANS_S)
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, command: Sequence[str | Path], *, log: int) -> int:
        """Run one of PostgreSQL's programs as the cluster's user; what it says goes to ``log``."""
        as_other = os.geteuid() == 0
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            user=self.owner.pw_uid if as_other else None,
            group=self.owner.pw_gid if as_other else None,
            extra_groups=[] if as_other else None,
            check=False,
        ).returncode


def owner_of(directory: Path) -> pwd.struct_passwd:
    """The user who shall run the cluster in ``directory``: whoever owns it, or an unprivileged one.

    Raises CommandFailed when it belongs to somebody this process cannot act for.
    """
    me = os.geteuid()
    if not directory.exists():
        return pwd.getpwuid(me) if me else _unprivileged()
    owner = directory.stat().st_uid
    if owner == 0 or me not in (0, owner):
        raise CommandFailed(
            f"The database folder {directory} belongs to {_name(owner)}.",
            "Run as the user who made it, or give another folder in SOLOMO_HOME.",
        )
    return pwd.getpwuid(owner)


def can_enter(user: pwd.struct_passwd, directory: Path) -> bool:
    """Whether ``user`` may pass through every folder down to ``directory``."""
    if os.geteuid() != 0:
        return os.access(directory, os.X_OK)
    test = subprocess.run(
        ["test", "-x", directory],
        cwd="/",
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        check=False,
    )
    return test.returncode == 0


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log file."""
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    return ""


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise CommandFailed("There is no unprivileged user to run PostgreSQL.", "Run: useradd postgres")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

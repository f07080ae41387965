"""``./solomo test``: format, lint, types, import contracts and tests; each on real programs.

Arguments it does not know go to pytest. The tests get a database server of their own, made for
this run and removed after it.
"""

import argparse
import contextlib
import fcntl
import filecmp
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from cli import processes
from cli.cluster import THROW_AWAY, Cluster, owner_of
from cli.home import PROJECT
from cli.output import CommandFailed, Output

_DEV_LOCK = PROJECT / "requirements-dev.lock"
_TERMINATED = 143
_FOLDER = "solomo-test-"
_MEMORY = Path("/dev/shm")  # noqa: S108  (each run makes a folder of its own there)
_ROOM_BYTES = 4 << 30
"""Several times what the databases of all tests take."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="leave out the tests marked slow")
    parser.usage = "solomo test [--quick] [PYTEST ARGUMENTS]"


def run(arguments: argparse.Namespace, output: Output) -> int:
    """The types are checked while the tests run, which now and then leave a processor idle."""
    began = time.monotonic()
    _install_tools(output)
    with ExitStack() as stack:
        checks = {name: stack.enter_context(_started(what)) for name, what in _checks().items()}
        types = checks.pop("types")
        results = {name: check.passed(name, output) for name, check in checks.items()}
        results["tests"] = _tests(arguments, output)
        results["types"] = types.passed("types", output)
    passed = all(results.values())
    took_s = round(time.monotonic() - began, 1)
    output.result({"passed": passed, "steps": results, "took_s": took_s})
    return 0 if passed else 1


def _checks() -> dict[str, Sequence[str]]:
    python = (sys.executable, "-m")
    contracts = str(Path(sys.executable).with_name("lint-imports"))
    return {
        "format": (*python, "ruff", "format", "--check", "."),
        "lint": (*python, "ruff", "check", "."),
        "types": (*python, "mypy"),
        "contracts": (contracts,),
    }


@dataclass(frozen=True, slots=True)
class _Check:
    """A program that judges the code, running beside whatever goes on meanwhile."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def passed(self, name: str, output: Output) -> bool:
        """Wait for its end and tell it, with all that it said if it found a fault."""
        passed = self.process.wait() == 0
        output.step(f"{'ok    ' if passed else 'FAILED'}  {name}")
        if not passed:
            self.said.seek(0)
            output.step(self.said.read().decode(errors="replace").rstrip())
        return passed


@contextmanager
def _started(command: Sequence[str]) -> Iterator[_Check]:
    """Start a check; should the run be broken off, it ends with it."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            yield _Check(process, said)
        finally:
            process.kill()
            process.wait()


_TWO_PROCESSES = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""Files stay whole, for their fixtures, and in the order of collection, the longest first."""


def _tests(arguments: argparse.Namespace, output: Output) -> bool:
    """Run pytest, on two processes unless told otherwise; the last line is pytest's own."""
    chosen = ["-m", "not slow"] if arguments.quick else []
    quiet = [] if {"-v", "-q", "-vv"} & set(arguments.rest) else ["-q"]
    parallel = [] if "-n" in arguments.rest else [*_TWO_PROCESSES]
    command = [sys.executable, "-m", "pytest", *quiet, *parallel, *chosen, *arguments.rest]
    with _database_server(output) as url:
        environment = {**os.environ, "SOLOMO_TEST_DATABASE_URL": url, "PYTHONPATH": str(PROJECT)}
        environment.pop("SOLOMO_DATABASE_URL", None)
        # What many processes load, of the tests and of the programs they start, is compiled once.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        stdout = sys.stderr if output.as_json else None
        code = subprocess.run(
            command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            check=False,
        ).returncode
    return code == 0


@contextmanager
def _database_server(output: Output) -> Iterator[str]:
    """A server for this run alone, unless ``SOLOMO_TEST_DATABASE_URL`` names one; a crash loses it."""
    given = os.environ.get("SOLOMO_TEST_DATABASE_URL")
    if given:
        yield given
        return
    _sweep()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=_place()))
    folder.chmod(0o711)
    directory = folder / "postgres"
    cluster = Cluster(
        directory=directory,
        log=folder / "postgres.log",
        port=processes.unused_port(),
        password=secrets.token_hex(16),
        owner=owner_of(directory),
        promise=THROW_AWAY,
    )
    try:
        cluster.start(output)
        yield cluster.admin_url
    finally:
        cluster.delete()
        shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    """In memory where it has room: a new database is hundreds of files, dear to make on a disk."""
    with contextlib.suppress(OSError):
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(lines["MemAvailable"].split()[0]) * 1024
        if min(available, shutil.disk_usage(_MEMORY).free) >= _ROOM_BYTES:
            return _MEMORY
    return Path(tempfile.gettempdir())


def _sweep() -> None:
    """Remove what killed runs left: servers whose folder names a process that is gone."""
    for folder in chain(*(p.glob(f"{_FOLDER}*") for p in (_MEMORY, Path(tempfile.gettempdir())))):
        owner = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdecimal() and not processes.is_alive(int(owner)):
            servers = processes.working_in(folder / "postgres")
            processes.stop(servers, with_signal=signal.SIGKILL, within_s=10)
            shutil.rmtree(folder, ignore_errors=True)


def _install_tools(output: Output) -> None:
    """Add the tools that requirements-dev.lock pins to the environment, when it has changed."""
    stamp = Path(sys.prefix) / _DEV_LOCK.name
    if _same(_DEV_LOCK, stamp):
        return
    with _DEV_LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _same(_DEV_LOCK, stamp):
            return
        output.step("Installing the tools of requirements-dev.lock ...")
        pip = (sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check")
        command = (*pip, "--require-hashes", "-r", str(_DEV_LOCK))
        if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
            raise CommandFailed("The tools could not be installed.", "Look at pip's message above.")
        shutil.copyfile(_DEV_LOCK, stamp)


def _same(one: Path, other: Path) -> bool:
    return other.exists() and filecmp.cmp(one, other, shallow=False)

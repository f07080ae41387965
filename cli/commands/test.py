"""``./solomo test``: format, lint, types, import contracts and tests; each on real programs.

Arguments it does not know go to pytest. The tests get a database server of their own, made for
this run and removed after it.
"""

import argparse
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
from contextlib import contextmanager
from pathlib import Path

from cli import processes
from cli.cluster import THROW_AWAY, Cluster, owner_of
from cli.home import PROJECT
from cli.output import CommandFailed, Output

_DEV_LOCK = PROJECT / "requirements-dev.lock"
_TERMINATED = 143
_FOLDER = "solomo-test-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="leave out the tests marked slow")
    parser.usage = "solomo test [--quick] [PYTEST ARGUMENTS]"


def run(arguments: argparse.Namespace, output: Output) -> int:
    began = time.monotonic()
    _install_tools(output)
    results = {name: _check(name, command, output) for name, command in _checks().items()}
    results["tests"] = _tests(arguments, output)
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


def _check(name: str, command: Sequence[str], output: Output) -> bool:
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    took_s = time.monotonic() - began
    passed = done.returncode == 0
    output.step(f"{'ok    ' if passed else 'FAILED'}  {name:<10} {took_s:6.1f} s")
    if not passed:
        output.step(done.stdout.rstrip())
    return passed


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
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
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


def _sweep() -> None:
    """Remove what killed runs left: servers whose folder names a process that is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
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

"""What runs on this machine, read from ``/proc`` (Linux).

A pid file may name a process that ended long ago and whose number another one has now. So a
process counts as ours only by what it carries: the mark in its environment, or, for PostgreSQL,
the data folder it works in.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

MARK = "SOLOMO_PART"
"""Variable that a part's processes carry: ``<data folder>#<part>``."""

_PROC = Path("/proc")
_LISTENING = "0A"
_POLL_S = 0.05


def marked(home: Path, part: str) -> list[int]:
    """Processes of a part of the installation in ``home``, oldest number first."""
    wanted = f"{MARK}={home}#{part}"
    return [pid for pid in _pids() if wanted in _environ(pid)]


def environment(pid: int) -> dict[str, str]:
    """What the process was started with; empty when it is gone or not ours to read."""
    pairs = (entry.partition("=") for entry in _environ(pid))
    return {name: value for name, _, value in pairs}


def working_in(directory: Path) -> list[int]:
    """Processes whose working folder is ``directory``, as PostgreSQL's is its data folder."""
    wanted = str(directory.resolve())
    return [pid for pid in _pids() if _link(_PROC / str(pid) / "cwd") == wanted]


def stop(pids: Iterable[int], *, with_signal: signal.Signals, within_s: float) -> list[int]:
    """Signal the processes and wait; gives back those that are still there."""
    remaining = set(pids)
    for pid in remaining:
        _send(pid, with_signal)
    deadline = time.monotonic() + within_s
    while remaining and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        remaining = {pid for pid in remaining if is_alive(pid)}
    return sorted(remaining)


def is_alive(pid: int) -> bool:
    """Whether the process exists and has not ended; a zombie has."""
    try:
        status = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def unused_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listener(port: int) -> str | None:
    """The program that listens on a TCP port, as ``name (process 42)``, if it can be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for pid in _pids():
        with contextlib.suppress(OSError):
            if any(_link(fd) in sockets for fd in (_PROC / str(pid) / "fd").iterdir()):
                name = (_PROC / str(pid) / "comm").read_text().strip()
                return f"{name} (process {pid})"
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                columns = line.split()
                at = int(columns[1].rpartition(":")[2], 16)
                if at == port and columns[3] == _LISTENING:
                    yield columns[9]


def _pids() -> list[int]:
    return sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _environ(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)

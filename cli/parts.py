"""The two services as processes: started detached, found again, stopped gracefully."""

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import code, processes, remembered
from cli.cluster import tail
from cli.database import Database
from cli.home import MAX_PORT, PROJECT, Home, Settings
from cli.output import CommandFailed

GRACE_S = 20
"""How long a service may take to finish what it has begun."""
KEEP_ALIVE_S = 75
"""Longer than the proxies before it keep a connection (nginx: 60 s), else they meet a closed one."""
_READY_S = 120.0
_POLL_S = 0.05
_ENDING_S = 3.0
_HTTP_TIMEOUT_S = 5.0
_LOG_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """``geo_api`` or ``member_api`` of the installation in ``home``."""

    home: Home
    schema: str
    port: int

    @property
    def name(self) -> str:
        return f"{self.schema}_api"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home.logs / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.home.run / f"{self.name}.pid"

    @property
    def processes(self) -> list[int]:
        """All processes of this part, workers and orphans of a killed parent too."""
        return processes.marked(self.home.path, self.name)

    @property
    def process(self) -> int | None:
        """The process that ``up`` started, if it still runs."""
        try:
            recorded = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return recorded if recorded in self.processes else None

    @property
    def runs_other_code(self) -> bool:
        """Whether the running process was started from other code than there is now."""
        process = self.process
        running = processes.environment(process) if process else {}
        return bool(running) and running.get(code.VARIABLE) != code.fingerprint()

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether the running process has these ``SOLOMO_*`` variables, code included, and no other."""
        running = processes.environment(self.process or 0)
        return _ours(running) == _ours(environment)

    def start(self, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start the service in a session of its own.

        Raises CommandFailed when its port is taken.
        """
        self.clear()
        self.require_port()
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                self._command(environment["SOLOMO_WORKERS"]),
                cwd=PROJECT,
                env={**_inherited(), **environment, **self._mark(environment)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{started.pid}\n")
        return started

    def require_settings(self, environment: Mapping[str, str]) -> None:
        """Raises CommandFailed, in the service's own words, when it would not start with these."""
        module = f"services.{self.name}.settings"
        read = f"import {module} as s; s.{self.schema.capitalize()}Settings.load()"
        done = subprocess.run(
            [sys.executable, "-c", read],
            cwd=PROJECT,
            env={**_inherited(), **environment, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(
                f"{self.name} would not start, so all is left as it is:\n{done.stderr.strip()}",
                "Mend the setting and run ./solomo up again.",
            )

    def wait_until_ready(self, started: "subprocess.Popen[bytes]") -> None:
        """Raises CommandFailed, with the end of the log, when the service does not become ready."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if self.is_ready():
                return
            if started.poll() is not None:
                break
            time.sleep(_POLL_S)
        ended = started.poll() is not None
        self.clear()
        what = "ended at once" if ended else f"was not ready within {_READY_S:.0f} s"
        raise CommandFailed(f"{self.name} {what}:\n{tail(self.log)}", f"See {self.log}.")

    def is_ready(self) -> bool:
        answer = self.get("/readyz")
        return answer is not None and answer[0] == http.client.OK

    def get(self, path: str) -> tuple[int, str] | None:
        """Status and body of a GET, or None when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_HTTP_TIMEOUT_S)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(connection),
        ):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        return None

    def stop(self) -> None:
        """Let the service finish what it has begun, then end what is left."""
        process = self.process
        if process is not None:
            processes.stop([process], with_signal=signal.SIGTERM, within_s=GRACE_S + 10)
        self.clear()

    def clear(self) -> None:
        """End what is left of an earlier start, such as workers whose parent was killed."""
        processes.stop(self.processes, with_signal=signal.SIGKILL, within_s=5)
        self.pid_file.unlink(missing_ok=True)

    def _command(self, workers: str) -> list[str]:
        return [
            sys.executable, "-m", "uvicorn", f"services.{self.name}.app:create_app", "--factory",
            "--host", "127.0.0.1", "--port", str(self.port), "--workers", workers,
            "--no-access-log", "--loop", "uvloop", "--http", "httptools",
            "--no-server-header", "--no-proxy-headers", "--timeout-graceful-shutdown", str(GRACE_S),
            "--timeout-keep-alive", str(KEEP_ALIVE_S),
        ]  # fmt: skip

    def _mark(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What tells our processes from others; several workers also share their metrics."""
        marks = {processes.MARK: f"{self.home.path}#{self.name}", "PYTHONPATH": str(PROJECT)}
        if int(environment["SOLOMO_WORKERS"]) > 1:
            metrics = self.home.run / "metrics" / self.name
            shutil.rmtree(metrics, ignore_errors=True)
            metrics.mkdir(parents=True)
            marks["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        return marks

    def require_port(self) -> None:
        """Raises CommandFailed when another program has the port, and goes on having it.

        Workers of ours whose parent was killed may be ending just now.
        """
        deadline = time.monotonic() + _ENDING_S
        while time.monotonic() < deadline:
            if processes.port_is_free(self.port) or self._has_port():
                return
            time.sleep(_POLL_S)
        by = processes.listener(self.port) or "another program"
        other = self.port + 100 if self.port + 100 <= MAX_PORT else self.port - 100
        raise CommandFailed(
            f"Port {self.port} of {self.name} is taken by {by}.",
            f"Stop it, or choose another port: {self._port_variable}={other} ./solomo up",
        )

    def _has_port(self) -> bool:
        """Whether a process of this part was started with this port."""
        started = map(processes.environment, self.processes)
        return any(one.get(self._port_variable) == str(self.port) for one in started)

    @property
    def _port_variable(self) -> str:
        return f"SOLOMO_{self.schema.upper()}_PORT"


def parts(home: Home, settings: Settings) -> tuple[Part, Part]:
    return (
        Part(home, "member", settings.member_port),
        Part(home, "geo", settings.geo_port),
    )


def environment_of(part: Part, settings: Settings, database: Database) -> dict[str, str]:
    """What a service is told; ``database`` is the one it connects to, as its own role."""
    defaults = {"SOLOMO_JOIN_URL": f"{settings.member_url}/join"}
    return {
        **remembered.read_by(part.schema, {**defaults, **settings.services}),
        f"SOLOMO_{part.schema.upper()}_DATABASE_URL": database.sqlalchemy_url,
        "SOLOMO_GEO_URL": settings.geo_url,
        "SOLOMO_MEMBER_URL": settings.member_url,
        "SOLOMO_KEYS_DIR": str(part.home.keys / part.schema),
        "SOLOMO_GEO_PORT": str(settings.geo_port),
        "SOLOMO_MEMBER_PORT": str(settings.member_port),
        "SOLOMO_WORKERS": str(settings.workers),
        code.VARIABLE: code.fingerprint(),
    }


def _ours(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a service reads or is known by, without what tells it from strangers."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("SOLOMO_") and name != processes.MARK
    }


def _inherited() -> dict[str, str]:
    """The caller's environment without what is meant for the commands, secrets among it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SOLOMO_") and name != "PROMETHEUS_MULTIPROC_DIR"
    }

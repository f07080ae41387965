"""An installation of its own for a bench: started, watched and removed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvloop

import cli.installation
from cli import processes
from cli.home import Home
from shared.auth import mint_operator_token

PROJECT = Path(__file__).parent.parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
OFFER: Mapping[str, Any] = {
    "title": "Bench",
    "trigger": {"type": "enter"},
    "stores": {"all": True},
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2099-01-01T00:00:00Z",
    "caps": {"total": 100_000_000, "per_person": 1},
    "benefit": {"type": "text", "text": "hello"},
    "coupon": {"valid_for_s": 86_400},
}
"""For entering any store."""


@dataclass(frozen=True, slots=True)
class Installation:
    """``home`` is its folder, ``environment`` what its commands are told."""

    home: Path
    environment: Mapping[str, str]

    @property
    def port(self) -> int:
        """geo_api's."""
        return int(self.environment["SOLOMO_GEO_PORT"])

    @property
    def url(self) -> str:
        """geo_api's."""
        return f"http://127.0.0.1:{self.port}"

    def token(self) -> str:
        """For a server."""
        keys = self.home / "keys/operator"
        return mint_operator_token(keys, role="server", subject="b", ttl_s=86_400)

    def part(self, name: str) -> list[int]:
        """The processes of ``geo_api`` or ``member_api``."""
        return processes.marked(self.home.resolve(), name)

    def replace_geo(self, app: str) -> None:
        """Start ``app``, a factory of geo_api with yardsticks beside it, in place of geo_api."""
        started_with = self.stop_geo()
        arguments = [
            sys.executable, "-m", "uvicorn", app, "--factory", "--port", str(self.port),
            "--no-access-log", "--no-server-header", "--no-proxy-headers", "--loop", "uvloop", "--http", "httptools",
        ]  # fmt: skip
        subprocess.Popen(arguments, cwd=PROJECT, env={**started_with, **self.environment})

    def stop_geo(self) -> dict[str, str]:
        """The environment that it ran with."""
        [pid, *_] = self.part("geo_api")
        started_with = processes.environment(pid)
        processes.stop([pid], with_signal=signal.SIGTERM, within_s=20)
        return started_with

    @property
    def database_url(self) -> str:
        """Of its database, for its administrator, as asyncpg takes it."""
        return self._recorded.database.url

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Of geo_api, as a server, once that is ready. Raises SystemExit if it never is."""
        authorization = {"Authorization": f"Bearer {self.token()}"}
        with httpx.Client(base_url=self.url, timeout=300, headers=authorization) as client:
            _until_ready(client)
            yield client

    def processor_s(self) -> dict[str, float]:
        """Seconds of processor time used so far, by part; of ended processes nothing is known."""
        cluster = self._recorded.cluster
        groups = {
            "geo_api": self.part("geo_api"),
            "member_api": self.part("member_api"),
            "PostgreSQL": processes.working_in(cluster.directory) if cluster else [],
            "load": [os.getpid()],
        }
        return {name: sum(map(_processor_s, pids)) for name, pids in groups.items()}

    @property
    def _recorded(self) -> cli.installation.Installation:
        return cli.installation.load(Home(self.home))


@contextmanager
def installation() -> Iterator[Installation]:
    """A fresh one, one worker each, without limits of rate; removed at the end, also on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    with tempfile.TemporaryDirectory(prefix="solomo-bench-") as folder:
        environment = {
            **os.environ,
            "SOLOMO_HOME": folder,
            "SOLOMO_WORKERS": "1",
            "SOLOMO_RATE_KEY_PER_S": "1000000",
            "SOLOMO_RATE_SUBJECT_PER_S": "1000000",
            "SOLOMO_ACCESS_LOG": "true",
            "SOLOMO_GEO_PORT": str(processes.unused_port()),
            "SOLOMO_MEMBER_PORT": str(processes.unused_port()),
        }
        command = [sys.executable, "-m", "cli"]
        subprocess.run([*command, "up"], cwd=PROJECT, env=environment, check=True)
        try:
            yield Installation(Path(folder), environment)
        finally:
            subprocess.run([*command, "reset", "--yes"], cwd=PROJECT, env=environment, check=True)


def ask(url: str, *statements: str) -> Any:
    """Run statements on the database at ``url``; the last one's only value."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return uvloop.run(run())


def open_offer(client: httpx.Client) -> None:
    """``OFFER``, in force from the next second or two on."""
    client.put("/v1/offers/bench", json=OFFER).raise_for_status()
    client.post("/v1/offers/bench/activate").raise_for_status()


def _until_ready(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("geo_api did not become ready")


def _processor_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

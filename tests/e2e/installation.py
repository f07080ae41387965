"""A whole installation in a folder of its own, driven as an operator drives it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli import processes

ROOT = Path(__file__).parents[2]
VICTIMS = ("geo_api", "member_api", "postgres")


@dataclass(frozen=True)
class Installation:
    """An installation under ``home``, with ports of its own."""

    home: Path
    geo_port: int = field(default_factory=processes.unused_port)
    member_port: int = field(default_factory=processes.unused_port)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SOLOMO_HOME": str(self.home),
            "SOLOMO_GEO_PORT": str(self.geo_port),
            "SOLOMO_MEMBER_PORT": str(self.member_port),
            "SOLOMO_WORKERS": "1",
        }

    def run(self, *arguments: str) -> str:
        """What a command prints; raises with its complaint when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def report(self, *arguments: str) -> dict[str, Any]:
        """The JSON that a command prints."""
        report: dict[str, Any] = json.loads(self.run(*arguments, "--json"))
        return report

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments, "--json"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self, part: str) -> None:
        """SIGKILL every process of a part, as a crash or the kernel would."""
        pids = self._server() if part == "postgres" else processes.marked(self.home, part)
        assert pids, f"{part} does not run"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def _server(self) -> list[int]:
        settings = json.loads((self.home / "settings.json").read_text())
        directory = Path(settings["database_directory"] or self.home / "postgres")
        return [int((directory / "postmaster.pid").read_text().splitlines()[0])]


def kill_in_turns(
    installation: Installation, work: "subprocess.Popen[str]", every_s: float
) -> list[str]:
    """Kill one part after the other and bring it back, until ``work`` ends; gives the killed."""
    killed: list[str] = []
    while work.poll() is None:
        time.sleep(every_s)
        if work.poll() is None:
            victim = VICTIMS[len(killed) % len(VICTIMS)]
            installation.kill(victim)
            killed.append(victim)
            installation.run("up")
    return killed

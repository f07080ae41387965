"""A whole installation for a test, driven by the real commands."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli import processes
from cli.home import PROJECT, Home


class Solomo:
    """``./solomo`` of ``project``, with a data folder and ports of its own."""

    def __init__(self, home: Path, *, project: Path = PROJECT, **variables: str) -> None:
        self.home = Home(home)
        self.project = project
        given = {"SOLOMO_DATABASE_URL", "SOLOMO_KEYS_DIR", "SOLOMO_DB_PORT", "SOLOMO_WORKERS"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in given},
            "PYTHONPATH": str(project),
            "SOLOMO_HOME": str(home),
            "SOLOMO_GEO_PORT": str(processes.unused_port()),
            "SOLOMO_MEMBER_PORT": str(processes.unused_port()),
            **variables,
        }

    def __call__(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=self.project,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.stdout, done.stderr
        document = json.loads(done.stdout)
        assert "error" not in document, document["error"]["message"]
        return document

    def process(self, part: str) -> int:
        rows = {row["part"]: row["process"] for row in self.json("status")["parts"]}
        return int(rows[part])

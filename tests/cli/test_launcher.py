"""The launcher in a small project of its own, whose lock names no packages."""

import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cli.home import PROJECT

pytestmark = pytest.mark.slow
PROGRAM = "import sys\nprint(sys.prefix, *sys.argv[1:])\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    (folder / "cli").mkdir(parents=True)
    (folder / "cli" / "__init__.py").touch()
    (folder / "cli" / "__main__.py").write_text(PROGRAM)
    (folder / "requirements.lock").write_text("# nothing\n")
    shutil.copy(PROJECT / "solomo", folder)
    return folder


def launch(
    project: Path, *words: str, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [project / "solomo", *words],
        cwd=cwd or project, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def test_the_environment_is_made_once_and_again_when_the_lock_changes(project: Path) -> None:
    first = launch(project, "hello", "two words")
    assert first.stdout == f"{project / '.venv'} hello two words\n", first.stderr
    made = (project / ".venv").stat().st_ino

    began = time.monotonic()
    again = launch(project)
    assert (again.stderr, (project / ".venv").stat().st_ino) == ("", made)
    assert time.monotonic() - began < 2

    (project / "requirements.lock").write_text("# nothing else\n")
    assert launch(project).returncode == 0
    assert (project / ".venv").stat().st_ino != made
    assert not list(project.glob(".venv.*"))


def test_two_first_starts_at_once_make_one_environment(project: Path) -> None:
    starts = [
        subprocess.Popen(
            [project / "solomo"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [start.communicate(timeout=120) for start in starts]
    assert [start.returncode for start in starts] == [0, 0], said
    assert sum("Making the virtual environment" in complaints for _, complaints in said) == 1


def test_an_interrupted_start_is_made_good_by_the_next(project: Path) -> None:
    with subprocess.Popen(
        [project / "solomo"], env=environment(), start_new_session=True, stderr=subprocess.DEVNULL
    ) as first:
        deadline = time.monotonic() + 30
        while not (project / ".venv.new").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGKILL)
    assert (project / ".venv.new").exists()
    assert not (project / ".venv").exists()

    assert launch(project, "hello").stdout.endswith(" hello\n")
    assert not (project / ".venv.new").exists()


def test_it_runs_from_anywhere_and_through_a_link(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "cli").mkdir(parents=True)
    (elsewhere / "cli" / "__init__.py").touch()
    (elsewhere / "cli" / "__main__.py").write_text("print('the wrong one')\n")
    (elsewhere / "solomo").symlink_to(project / "solomo")
    done = subprocess.run(
        ["./solomo", "hello"],
        cwd=elsewhere, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == f"{project / '.venv'} hello\n"


def test_a_package_that_cannot_be_had_leaves_no_environment(project: Path) -> None:
    (project / "requirements.lock").write_text(f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    done = subprocess.run(
        [project / "solomo"],
        env={**environment(), "PIP_NO_INDEX": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "could not be installed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / ".venv").exists()


def test_without_a_python_it_says_what_to_install(project: Path) -> None:
    done = subprocess.run(
        [project / "solomo"],
        env={**environment(), "SOLOMO_PYTHON": "no-such-python"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Python 3.11 or later" in done.stderr


def test_the_locks_pin_every_package_by_hash_and_name_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (PROJECT / name).read_text()
        packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert packages
        assert all("==" in line and line.endswith("\\") for line in packages), name
        assert "://" not in text
        assert "--index" not in text


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_locks_hold_what_the_project_asks_for(name: str) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"]
    if "dev" in name:
        asked = asked + project["dependency-groups"]["dev"]
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (PROJECT / name).read_text(), re.MULTILINE))
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement

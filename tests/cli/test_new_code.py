"""Code that was pulled while an older one runs: real processes, from a copy of the project."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.home import PROJECT
from tests.cli.solomo import Solomo
from tests.clusters import open_folder

pytestmark = pytest.mark.slow

PARTS = ("geo_api", "member_api", "postgres")
SERVICES = {"geo_api", "member_api"}


@pytest.fixture(scope="module")
def solomo() -> Iterator[Solomo]:
    """An installation that runs from a checkout of its own."""
    with open_folder() as folder:
        installed = Solomo(folder / "home", project=_copy_to(folder / "project"))
        try:
            first = installed("up")
            assert first.returncode == 0, first.stderr
            yield installed
        finally:
            installed("reset", "--yes")


def _copy_to(project: Path) -> Path:
    for name in ("cli", "services", "shared"):
        shutil.copytree(PROJECT / name, project / name)
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(PROJECT / name, project / name)
    return project


def running(solomo: Solomo) -> dict[str, int]:
    return {part: solomo.process(part) for part in PARTS}


def summary(solomo: Solomo) -> str:
    url = f"{solomo.home.settings().geo_url}/openapi.json"
    return str(httpx.get(url, trust_env=False).json()["info"]["summary"])


def release(solomo: Solomo, name: str) -> None:
    """What a pull does: other content in a file of a service."""
    path = solomo.project / "services" / "geo_api" / "app.py"
    text = path.read_text()
    assert summary(solomo) in text
    path.write_text(text.replace(summary(solomo), name))


def test_up_takes_new_code_and_leaves_the_database_running(solomo: Solomo) -> None:
    before = running(solomo)
    release(solomo, "The next release")
    details = {row["part"]: row["detail"] for row in solomo.json("status")["parts"]}
    assert all("older code" in details[part] for part in SERVICES)

    done = solomo("up")

    assert done.returncode == 0, done.stderr
    assert "The code has changed since member_api and geo_api began" in done.stderr
    after = running(solomo)
    assert {part for part in PARTS if after[part] != before[part]} == SERVICES
    assert summary(solomo) == "The next release"


def test_up_leaves_alone_what_runs_the_present_code(solomo: Solomo) -> None:
    before = running(solomo)
    (solomo.project / "services" / "geo_api" / "app.py").touch()
    (solomo.project / "services" / "geo_api" / ".app.py.swp").write_text("an editor's")

    assert solomo.json("up")["started"] == []

    assert running(solomo) == before


def test_another_lock_is_other_code(solomo: Solomo) -> None:
    with (solomo.project / "requirements.lock").open("a") as lock:
        lock.write("# another release of something\n")
    assert set(solomo.json("up")["started"]) == SERVICES


def test_code_that_cannot_start_is_told_with_its_log(solomo: Solomo) -> None:
    path = solomo.project / "services" / "geo_api" / "app.py"
    whole = path.read_text()
    path.write_text(f"{whole}\nraise RuntimeError('half a merge')\n")
    try:
        refused = solomo("up")
        assert refused.returncode == 1
        assert "half a merge" in refused.stderr
    finally:
        path.write_text(whole)
    assert "geo_api" in solomo.json("up")["started"]

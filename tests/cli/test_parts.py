"""Which running services ``up`` leaves alone."""

from pathlib import Path

import pytest

from cli import processes
from cli.database import Database
from cli.home import Home, Settings
from cli.parts import Part, environment_of

DATABASE = Database("127.0.0.1", 54320, "solomo", "solomo_geo", "secret")
PART = Part(Home(Path("/nowhere")), "geo", 8001)


def told() -> dict[str, str]:
    return environment_of(PART, Settings(), DATABASE)


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOLOMO_ARRIVAL_RULE", "SOLOMO_JOIN_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SOLOMO_ARRIVAL_RULE", "plain"), ("SOLOMO_JOIN_URL", "https://shop.example/join")],
)
def test_a_setting_that_is_new_restarts_a_service_and_one_left_out_does_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    running = told()
    monkeypatch.setattr(processes, "environment", lambda _: running)

    assert PART.fits(told())
    monkeypatch.setenv(name, value)
    assert not PART.fits(told())
    running = told()
    assert PART.fits(told())
    monkeypatch.delenv(name)
    assert PART.fits(told())


def test_what_only_the_commands_read_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLOMO_DATABASE_URL", "postgresql://admin:secret@db/solomo")
    monkeypatch.setenv("SOLOMO_HOME", "elsewhere")

    assert not {"SOLOMO_DATABASE_URL", "SOLOMO_HOME"} & told().keys()

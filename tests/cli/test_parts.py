"""Which running services ``up`` leaves alone."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cli import processes
from cli.database import Database
from cli.home import Home, Settings
from cli.parts import Part, _inherited, environment_of

DATABASE = Database("127.0.0.1", 54320, "solomo", "solomo_geo", "secret")
PART = Part(Home(Path("/nowhere")), "geo", 8001)


def told(services: Mapping[str, str] | None = None, part: Part = PART) -> dict[str, str]:
    return environment_of(part, Settings(services=services or {}), DATABASE)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the running process was told."""
    environment = {**told(), "PATH": "/bin", processes.MARK: "/nowhere#geo_api"}
    monkeypatch.setattr(processes, "environment", lambda _: environment)
    return environment


@pytest.mark.parametrize(
    ("name", "value"),
    [("SOLOMO_ARRIVAL_RULE", "plain"), ("SOLOMO_JOIN_URL", "https://shop.example/join")],
)
def test_a_setting_that_changes_restarts_a_service_also_when_it_is_taken_back(
    running: dict[str, str], name: str, value: str
) -> None:
    assert PART.fits(told())
    assert not PART.fits(told({name: value}))
    running[name] = value
    assert PART.fits(told({name: value}))
    assert not PART.fits(told())


def test_a_service_is_told_only_what_it_reads() -> None:
    member = Part(Home(Path("/nowhere")), "member", 8002)
    services = {"SOLOMO_ARRIVAL_RULE": "plain", "SOLOMO_LOG_LEVEL": "debug"}
    assert services.items() <= told(services).items()
    assert told(services, member)["SOLOMO_LOG_LEVEL"] == "debug"
    assert not {"SOLOMO_ARRIVAL_RULE", "SOLOMO_JOIN_URL"} & told(services, member).keys()


def test_the_caller_s_environment_tells_a_service_nothing_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SOLOMO_DATABASE_URL", "SOLOMO_HOME", "SOLOMO_TOKEN", "SOLOMO_LOG_LEVEL"):
        monkeypatch.setenv(name, "")

    assert not {name for name in _inherited() if name.startswith("SOLOMO_")}
    assert "SOLOMO_DATABASE_URL" not in told()

"""The settings that an installation remembers from one ``up`` to the next."""

import re
from pathlib import Path

import pytest

from cli.home import PROJECT, Home
from cli.output import CommandFailed
from cli.remembered import OF_BOTH, OF_GEO
from services.geo_api.settings import GeoSettings
from services.member_api.settings import MemberSettings
from shared.settings import ServiceSettings

SETTLED_BY_UP = {
    *("SOLOMO_KEYS_DIR", "SOLOMO_WORKERS", "SOLOMO_GEO_URL", "SOLOMO_MEMBER_URL"),
    *("SOLOMO_GEO_DATABASE_URL", "SOLOMO_MEMBER_DATABASE_URL"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in (*OF_BOTH, *OF_GEO, "SOLOMO_GEO_PORT", "SOLOMO_WORKERS", "SOLOMO_DB_PORT"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path)


def names(settings: type[ServiceSettings]) -> set[str]:
    return {f"SOLOMO_{field.upper()}" for field in settings.model_fields} - SETTLED_BY_UP


def test_they_are_all_that_the_services_read_and_up_does_not_settle() -> None:
    assert names(MemberSettings) == OF_BOTH
    assert names(GeoSettings) == OF_BOTH | OF_GEO


def test_each_is_explained_with_the_settings() -> None:
    page = (PROJECT / "docs/operations.md").read_text()
    table = page.split("## Settings\n")[1].split("\n\n")[0]
    assert set(re.findall(r"`(SOLOMO_\w+)`", table)) >= OF_BOTH | OF_GEO


def test_what_was_given_once_is_remembered_and_an_empty_value_unsets_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLOMO_ARRIVAL_RULE", "plain")
    monkeypatch.setenv("SOLOMO_GEO_PORT", "9001")
    home.record(home.settings())
    monkeypatch.delenv("SOLOMO_ARRIVAL_RULE")
    monkeypatch.delenv("SOLOMO_GEO_PORT")
    monkeypatch.setenv("SOLOMO_LOG_LEVEL", "debug")
    home.record(home.settings())

    remembered = home.settings()
    assert remembered.geo_port == 9001
    assert remembered.services == {"SOLOMO_ARRIVAL_RULE": "plain", "SOLOMO_LOG_LEVEL": "debug"}

    monkeypatch.setenv("SOLOMO_ARRIVAL_RULE", "")
    monkeypatch.setenv("SOLOMO_GEO_PORT", "")
    assert home.settings().geo_port == 8001
    assert home.settings().services == {"SOLOMO_LOG_LEVEL": "debug"}
    assert home.settings().variables["SOLOMO_LOG_LEVEL"] == "debug"


def test_an_empty_port_of_the_cluster_leaves_the_one_it_has(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLOMO_DB_PORT", "54999")
    home.record(home.settings())
    monkeypatch.setenv("SOLOMO_DB_PORT", "")
    assert home.settings().database_port == 54999


def test_secrets_and_the_data_folder_are_not_among_them(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SOLOMO_HOME", "SOLOMO_TOKEN", "SOLOMO_DATABASE_URL", "SOLOMO_GEO_PASSWORD"):
        monkeypatch.setenv(name, "hush")
    home.record(home.settings())
    assert "hush" not in (home.path / "settings.json").read_text()


def test_a_port_that_is_none_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLOMO_GEO_PORT", "many")
    with pytest.raises(CommandFailed, match="SOLOMO_GEO_PORT"):
        home.settings()

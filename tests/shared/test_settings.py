from pathlib import Path

import pytest

from shared.settings import InvalidSettings, ServiceSettings


class ProbeSettings(ServiceSettings):
    probe_database_url: str


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLOMO_KEYS_DIR", "/keys")
    monkeypatch.setenv("SOLOMO_PROBE_DATABASE_URL", "postgresql+asyncpg://x")
    monkeypatch.setenv("SOLOMO_WORKERS", "4")
    monkeypatch.setenv("SOLOMO_ACCESS_LOG", "false")
    monkeypatch.setenv("SOLOMO_RATE_CODE_GUESSES_PER_MIN", "20")

    settings = ProbeSettings.load()

    assert settings.keys_dir == Path("/keys")
    assert settings.access_log is False
    assert settings.limiter().rates["code_guess"].burst == 5


def test_every_wrong_setting_is_named_and_no_value_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOLOMO_KEYS_DIR", raising=False)
    monkeypatch.setenv("SOLOMO_WORKERS", "hunter2")
    monkeypatch.setenv("SOLOMO_LOG_LEVEL", "loud")

    with pytest.raises(InvalidSettings) as caught:
        ProbeSettings.load()

    said = str(caught.value)
    assert "SOLOMO_KEYS_DIR: is not set" in said
    assert "SOLOMO_PROBE_DATABASE_URL: is not set" in said
    assert "SOLOMO_WORKERS" in said
    assert "SOLOMO_LOG_LEVEL" in said
    assert "hunter2" not in said


def test_wrong_settings_end_the_process_with_their_message() -> None:
    assert issubclass(InvalidSettings, SystemExit)


def test_an_empty_variable_is_one_that_is_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOLOMO_KEYS_DIR", str(tmp_path))
    monkeypatch.setenv("SOLOMO_LOG_LEVEL", "")
    assert ServiceSettings.load().log_level == "info"
    monkeypatch.setenv("SOLOMO_KEYS_DIR", "")
    with pytest.raises(InvalidSettings, match="SOLOMO_KEYS_DIR: is not set"):
        ServiceSettings.load()

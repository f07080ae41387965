import errno
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import COMMANDS, main
from cli.home import PROJECT, Home
from cli.processes import unused_port

HEAVY = {"rich", "asyncpg", "sqlalchemy", "httpx", "pydantic", "cryptography", "shapely"}


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from cli.__main__ import main; main([]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    told = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("    ")}
    assert told >= set(COMMANDS)
    assert HEAVY.isdisjoint(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: solomo {name}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["nothing"], ["up", "--nothing"], ["status", "extra"]])
def test_words_that_mean_nothing_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["up", "--nothing"], ["token", "server", "--days", "3"]])
def test_what_a_command_does_not_know_is_answered_with_its_own_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert capsys.readouterr().err.startswith(f"usage: solomo {words[0]} ")


def test_one_port_for_both_services_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path / "home"))
    port = str(unused_port())
    monkeypatch.setenv("SOLOMO_GEO_PORT", port)
    monkeypatch.setenv("SOLOMO_MEMBER_PORT", port)

    assert main(["up"]) == 1

    assert "cannot both have port" in capsys.readouterr().err
    assert not Home(tmp_path / "home").exists


@pytest.mark.parametrize("name", ["status", "down", "logs", "reset"])
def test_without_an_installation_it_says_how_to_begin(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path / "none"))
    assert main([name]) == 1
    assert "Start with: ./solomo up" in capsys.readouterr().err
    assert main(["--json", name]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["hint"] == "Start with: ./solomo up"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("port", ["0", "70000", "eighty", "-1"])
def test_a_port_that_is_none_is_named(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path))
    monkeypatch.setenv("SOLOMO_GEO_PORT", port)
    assert main(["up"]) == 1
    assert "SOLOMO_GEO_PORT" in capsys.readouterr().err


def test_a_full_disk_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path))
    monkeypatch.setattr("cli.commands.up._NEEDED_BYTES", 1 << 60)
    assert main(["up"]) == 1
    assert "MB are free" in capsys.readouterr().err
    assert not (tmp_path / "keys" / "geo").exists()


def test_what_the_machine_refuses_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/settings.json")

    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path))
    monkeypatch.setattr("cli.commands.up.prepare", full)
    assert main(["up"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("solomo: /data/settings.json: No space left on device.")
    assert "SOLOMO_HOME" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_another_users_installation_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path))
    (tmp_path / "settings.json").write_text("{}")
    os.chown(tmp_path / "settings.json", pwd.getpwnam("nobody").pw_uid, -1)
    assert main(["up"]) == 1
    assert "belongs to nobody" in capsys.readouterr().err


def test_a_folder_that_was_there_before_keeps_its_rights(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mode
    Home(tmp_path).create()
    assert tmp_path.stat().st_mode == before


def test_what_the_test_command_does_not_know_goes_to_pytest() -> None:
    from cli.__main__ import _parser  # noqa: PLC0415 - the parser itself is what is looked at

    arguments, rest = _parser("test")[0].parse_known_args(
        ["test", "--quick", "tests/cli", "-k", "some thing", "--maxfail=1"]
    )
    assert arguments.quick
    assert rest == ["tests/cli", "-k", "some thing", "--maxfail=1"]

import json
from pathlib import Path

import pytest

from cli.__main__ import main

QUICK = ["simulate", "--walkers", "8", "--hours", "1"]


def test_it_prints_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(QUICK) == 0
    said = capsys.readouterr().out
    for word in ("precision", "plain", "poor_wifi 50 m", "edge-hour", "teleport", "0 visits of"):
        assert word in said


def test_it_prints_one_document_for_programs_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "rules.svg"
    assert main([*QUICK, "--seed", "3", "--out", str(image), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["seed"] == 3
    assert len(document["cells"]) == 48
    assert {row["result"] for row in document["golden"]} == {"as it must be"}
    assert image.read_text().startswith("<svg")


def test_a_drawing_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--out", str(tmp_path / "no" / "rules.svg")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--walkers", "3"], ["--hours", "0"], ["--seed", "-1"]])
def test_what_cannot_be_simulated_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *words])
    assert ended.value.code == 2


def test_sending_to_nobody_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLOMO_TOKEN", "anything")
    assert main([*QUICK, "--send", "--geo-url", "http://127.0.0.1:1"]) == 1
    assert "does not answer" in capsys.readouterr().err

import argparse

import pytest

from cli.__main__ import main
from cli.arguments import between, metres
from cli.client import checked_url
from cli.output import CommandFailed


@pytest.mark.parametrize("text", ["0", "11", "two", "", "+-5", "1.5"])
def test_what_is_no_whole_number_in_range_is_told_the_range(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="whole number from 1 to 10"):
        between(1, 10)(text)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "far"])
def test_what_is_no_length_is_told_what_is(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="number of metres"):
        metres(text)


def test_good_numbers_are_taken() -> None:
    assert [between(1, 10)(text) for text in ("1", "10")] == [1, 10]
    assert [metres(text) for text in ("0", "7.5")] == [0, 7.5]


@pytest.mark.parametrize(
    "words", [["demo", "--visitors", "x"], ["replay", "f", "--batch-size", "x"]]
)
def test_a_wrong_number_is_told_in_plain_words(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert "must be a whole number from 1 to" in capsys.readouterr().err


def test_an_address_needs_its_scheme() -> None:
    assert checked_url("http://127.0.0.1:8001/") == "http://127.0.0.1:8001"
    with pytest.raises(CommandFailed, match="not an address"):
        checked_url("127.0.0.1:8001")

"""``./solomo wechat-sandbox``, as a program of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from cli.__main__ import main
from cli.home import PROJECT
from cli.processes import unused_port


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[int, dict[str, object]]]:
    """Its port, and what it printed with ``--json``."""
    port = unused_port()
    words = ["wechat-sandbox", "--json", "--port", str(port), "--geo-url", "http://127.0.0.1:9"]
    with subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        wait_for(port)
        yield port, document
        process.send_signal(signal.SIGINT)
        process.wait(20)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/sandbox")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("it did not start")


def test_it_tells_what_an_installation_needs_and_gives_tokens_for_it(
    running: tuple[int, dict[str, object]],
) -> None:
    _, document = running
    account = document["accounts"]["shop"]  # type: ignore[index]  # a document is read as it comes
    asked = {"grant_type": "client_credential", "appid": account["app_id"],
             "secret": account["app_secret"]}  # fmt: skip
    token = httpx.post(f"{document['url']}/cgi-bin/stable_token", json=asked).json()
    assert token["expires_in"] == 7_200
    assert account["mode"] == "secure"


def test_people_act_by_command(
    running: tuple[int, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    port, _ = running
    act = ["wechat-sandbox", "--json", "--port", str(port), "--act"]
    assert main([*act, "mei", "scan", "scene=store-1"]) == 0
    assert json.loads(capsys.readouterr().out)["pushes"]
    assert main([*act, "mei", "open", "account=shop-mini", "scene=a=b"]) == 0
    assert json.loads(capsys.readouterr().out)["query"] == {"scene": "a%3Db"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mei", "scan", "scene=none"], "no code for the scene"),
        (["mei", "dance"], "'follow', 'unfollow'"),
        (["mei", "report_location", "latitude=91", "longitude=0"], "latitude"),
        (["mei"], "needs a person and what they do"),
        (["mei", "say", "hello"], "write it as --act name=value"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    running: tuple[int, dict[str, object]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    told: str,
) -> None:
    assert main(["wechat-sandbox", "--port", str(running[0]), "--act", *words]) == 1
    assert told in capsys.readouterr().err


def test_a_port_that_is_taken_and_one_where_nobody_listens_are_told(
    running: tuple[int, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wechat-sandbox", "--port", str(running[0])]) == 1
    assert "is taken by" in capsys.readouterr().err
    assert main(["wechat-sandbox", "--port", str(unused_port()), "--act", "mei", "follow"]) == 1
    assert "Start it: ./solomo wechat-sandbox" in capsys.readouterr().err

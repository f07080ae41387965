"""``./solomo wechat-sandbox``, as a program of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from cli.__main__ import main
from cli.home import PROJECT
from cli.processes import unused_port


class Installation(ThreadingHTTPServer):
    """A small server that takes accounts, and answers callbacks as WeChat wants it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.accounts: dict[str, dict[str, Any]] = {}
        self.bearers: set[str | None] = set()
        self.echoes = True


class Answering(BaseHTTPRequestHandler):
    server: Installation

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        self._answer(200, query["echostr"].encode() if self.server.echoes else b"no")

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.accounts[self.path] = body
        self.server.bearers.add(self.headers["Authorization"])
        self._answer(201, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with Installation() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def running(installation: "Installation") -> Iterator[tuple[int, dict[str, object]]]:
    """Its port, and what it printed with ``--json``."""
    port = unused_port()
    words = ["wechat-sandbox", "--json", "--port", str(port), "--geo-url", installation.url]
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


def test_its_accounts_are_put_into_an_installation_and_the_callbacks_checked(
    running: tuple[int, dict[str, object]],
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    port, document = running
    monkeypatch.setenv("SOLOMO_TOKEN", "a-server-token")
    words = ["wechat-sandbox", "--json", "--port", str(port), "--geo-url", installation.url]

    assert main([*words, "--connect"]) == 0

    assert json.loads(capsys.readouterr().out)["shop"] == {"verified": True, "why": None}
    put = {path.rsplit("/", 1)[1]: body for path, body in installation.accounts.items()}
    assert put == document["accounts"]
    assert installation.bearers == {"Bearer a-server-token"}
    assert put["shop-mini"]["outreach"]["coupon"]["data"]["thing1"] == "{title}"

    installation.echoes = False
    assert main([*words, "--connect"]) == 1
    told = json.loads(capsys.readouterr().out)["shop"]
    assert told["why"] == "it did not answer the echostr alone"


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

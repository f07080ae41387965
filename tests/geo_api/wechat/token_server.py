"""A server that gives tokens as WeChat does, counts who asks, and can be told to misbehave."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class TokenServer:
    """``asked`` counts requests by path; a forced stable_token counts as ``forced``.

    ``refuses_all``: no token is ever the latest. ``refusal`` is what the token APIs answer instead
    of one, ``status`` with which status. ``delay_s`` is how long giving a token takes;
    while ``gate`` is clear none is given.
    """

    base: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    lifetime_s: int = 7200
    delay_s: float = 0.0
    refuses_all: bool = False
    refusal: dict[str, Any] | None = None
    status: int = 200
    issued: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def token(self) -> str:
        return f"the-access-token-number-{self.issued:04d}"

    def revoke(self) -> None:
        """The present token ends, as when another program forced a new one."""
        with self.lock:
            self.issued += 1

    def answer(self, path: str, query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
        with self.lock:
            self.asked[path] += 1
        if path in ("/cgi-bin/stable_token", "/cgi-bin/token"):
            return self._give(path, body)
        if self.refuses_all or query.get("access_token") != [self.token]:
            return {"errcode": 40001, "errmsg": "invalid credential rid: 6925-abcd"}
        return {"ip_list": ["127.0.0.1"]}

    def _give(self, path: str, body: bytes) -> dict[str, Any]:
        time.sleep(self.delay_s)
        self.gate.wait(60)
        if self.refusal is not None:
            return self.refusal
        with self.lock:
            if path == "/cgi-bin/token":
                self.issued += 1
            elif json.loads(body)["force_refresh"]:
                self.issued += 1
                self.asked["forced"] += 1
        return {"access_token": self.token, "expires_in": self.lifetime_s}


@contextmanager
def token_server() -> Iterator[TokenServer]:
    told = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(told.answer(parts.path, parse_qs(parts.query), sent)).encode()
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that the library calls

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

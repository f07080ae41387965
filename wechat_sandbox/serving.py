"""The stand-in on a port of this machine."""

import logging
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wechat_sandbox.answering import CUT

HOSTS = ("127.0.0.1", "localhost")
"""Names that requests may call a stand-in on loopback by."""


class _Cutting(HttpToolsProtocol):
    """Lets the application close the connection, as an extension of its scope."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: {"close": self.transport.close}}


def server_of(app: FastAPI, port: int, host: str = "127.0.0.1", **options: Any) -> uvicorn.Server:
    """A server whose ``serve`` runs until ``should_exit`` is set; quiet but for warnings."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Cutting,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        **options,
    )
    return uvicorn.Server(config)

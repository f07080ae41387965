"""A push ready to be sent: its query, signed, and its body in the account's mode and format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.wechat.callback import Format, seal_push
from wechat_sandbox.accounts import Account

_CONTENT_TYPES = {Format.XML: "text/xml", Format.JSON: "application/json"}


@dataclass(frozen=True, slots=True)
class Sealed:
    query: Mapping[str, str]
    body: bytes
    content_type: str

    def anew(self, account: Account, document: Mapping[str, Any]) -> "Sealed":
        """The same push under the same timestamp and nonce, encrypted once more."""
        stamp, nonce = int(self.query["timestamp"]), self.query["nonce"]
        return seal(account, document, timestamp=stamp, nonce=nonce)


def seal(account: Account, document: Mapping[str, Any], *, timestamp: int, nonce: str) -> Sealed:
    query, body = seal_push(account.callback, document, timestamp=timestamp, nonce=nonce)
    return Sealed(query, body, _CONTENT_TYPES[account.format])

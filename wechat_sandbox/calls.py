"""One call of WeChat's API, as its handlers see it, and the forms of answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wechat_sandbox.accounts import Account
from wechat_sandbox.refusals import Refused
from wechat_sandbox.world import World


@dataclass(frozen=True, slots=True)
class Image:
    """Bytes in place of JSON."""

    content: bytes
    media_type: str = "image/png"


Answer = dict[str, Any] | Image


@dataclass(frozen=True, slots=True)
class ApiCall:
    """``caller`` is the address that called."""

    world: World
    query: Mapping[str, str]
    body: bytes
    caller: str

    def json(self) -> dict[str, Any]:
        """The body. Raises Refused 47001 for what is not a JSON object."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise Refused(47001)
        return document

    def account_by_token(self) -> Account:
        """Whose access token the query has. Raises Refused for one that does not hold."""
        account_id = self.world.tokens.account_of(self.query.get("access_token", ""))
        return self.world.accounts[account_id]

    def account_by_secret(self, given: Mapping[str, Any]) -> Account:
        """Whose app id and secret are ``given``. Raises Refused for a pair that does not hold."""
        account = self.world.by_app_id(str(given.get("appid") or ""))
        if not given.get("secret"):
            raise Refused(41004)
        if given["secret"] != account.app_secret:
            raise Refused(40125)
        return account

    def require_allowed(self, account: Account) -> None:
        """Raises Refused 40164 for a caller who is not on the account's list of addresses."""
        if account.allowed_ips and self.caller not in account.allowed_ips:
            raise Refused(40164, f"{self.caller} ipv6 ::ffff:{self.caller}, not in whitelist")


OK: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}

"""A running stand-in for WeChat, directed from the command line, and tied to an installation."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from cli.client import refused, unreachable
from cli.output import CommandFailed
from cli.rows import pairs

CONSENT_VERSION = "rehearsal-1"
_COUPON = {"thing1": "{title}", "thing2": "{store}", "time3": "{valid_until}"}
"""What the stand-in's template says of a coupon."""

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_KEPT = ("kind", "app_id", "original_id", "format", "mode", "token", "aes_key", "app_secret")


class StandIn:
    """The one that listens on ``port``."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/sandbox"

    def act(self, words: Sequence[str]) -> Any:
        """``PERSON ACT key=value ...``; values that read as JSON are taken as such."""
        if len(words) < 2:  # noqa: PLR2004 - the two words that must be there
            hint = "Such as: --act mei follow"
            raise CommandFailed("--act needs a person and what they do.", hint)
        person, act, *given = words
        fields = {name: _value(text) for name, text in pairs("--act", given)}
        body = {"act": act, "account": "shop", **fields}
        return self._ask("POST", f"/people/{person}/acts", body)

    def accounts(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "/accounts")["items"])

    def verify(self, account_id: str) -> Any:
        """What WeChat's console finds of the account's callback."""
        return self._ask("POST", f"/accounts/{account_id}/verification")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = httpx.request(
                method, self._url + path, json=body, timeout=_TIMEOUT, trust_env=False
            )
        except httpx.TransportError as error:
            hint = "Start it: ./solomo wechat-sandbox"
            raise CommandFailed(f"Nothing answers at {self._url}.", hint) from error
        if answer.is_error:
            raise CommandFailed(_why(answer))
        return answer.json()


def connect(stand_in: StandIn, geo_url: str, bearer: Mapping[str, str]) -> dict[str, Any]:
    """Put the stand-in's accounts into an installation; tells of each whether pushes will arrive.

    ``bearer`` is the header of a server token. Raises CommandFailed.
    """
    found = {}
    for account in stand_in.accounts():
        account_id = account["account_id"]
        url = f"{geo_url}/v1/wechat/accounts/{account_id}"
        try:
            answer = httpx.put(
                url, json=record_of(account), headers=bearer, timeout=_TIMEOUT, trust_env=False
            )
        except httpx.TransportError as error:
            raise unreachable(geo_url, error) from error
        if answer.is_error:
            raise refused(answer.status_code, answer.content)
        found[account_id] = stand_in.verify(account_id)
    return found


def record_of(account: Mapping[str, Any]) -> dict[str, Any]:
    """What ``PUT /v1/wechat/accounts/{account_id}`` takes, ready for coupons to be told."""
    fitting = (name for name, keys in account["templates"].items() if set(keys) == set(_COUPON))
    template_id = next(fitting, None)
    coupon = {"template_id": template_id, "data": _COUPON} if template_id else {}
    return {
        **{name: account[name] for name in _KEPT},
        "name": f"Rehearsal: {account['account_id']}",
        "location_datum": "wgs84",
        "consent_version": CONSENT_VERSION,
        "outreach": {"enabled": True, "coupon": {**coupon, "text": "{title} · {store}"}},
    }


def _why(answer: httpx.Response) -> str:
    """The sentence of a refusal, or what is wrong with each field."""
    detail = answer.json()["detail"]
    if isinstance(detail, str):
        return detail
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in detail)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

"""``./solomo wechat``: WeChat accounts, their check, and what an operator should look at."""

import argparse
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from cli import wechat_codes
from cli.client import (
    add_connection_arguments,
    bearer,
    checked_url,
    geo_url,
    refused,
    unreachable,
)
from cli.output import CommandFailed, Output
from cli.wechat_secrets import read_secrets

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_FIELDS = (
    "kind", "name", "app_id", "original_id", "format", "mode", "location_datum", "consent_version",
    "token_api", "outreach",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    every = [
        _verb(verbs, "accounts", "list the accounts"),
        _add(verbs),
        _of_account(verbs, "show", "an account, without its secrets"),
        _remove(verbs),
        _of_account(verbs, "check", "tell what is wrong with an account, and what to do"),
        _url(verbs),
        _codes(verbs),
        _verb(verbs, "notices", "what an operator should look at"),
        _settle(verbs),
    ]
    for one in every:
        one.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON"
        )
        add_connection_arguments(one)


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(name, help=text, allow_abbrev=False)
    return made


def _of_account(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    one = _verb(verbs, name, text)
    one.add_argument("account", metavar="ID", help="your own id of the account")
    return one


def _add(verbs: Any) -> argparse.ArgumentParser:
    one = _of_account(
        verbs, "add", "add an account; its secrets come from a file or standard input"
    )
    add = one.add_argument
    add("--change", action="store_true", help="change an account: what is not given stays")
    add("--kind", choices=["service", "subscription", "mini_program"])
    add("--name", help="for people")
    add("--app-id", metavar="WX…", help="AppID")
    add("--original-id", metavar="GH_…", help="the id that pushes are addressed to")
    add("--format", choices=["xml", "json"], help="as set in WeChat's console (default: xml)")
    add("--mode", choices=["plain", "compatible", "secure"],
        help="as set in WeChat's console (default: secure)")  # fmt: skip
    add("--location-datum", choices=["wgs84", "gcj02"], help="of LOCATION events")
    add("--consent-version", metavar="VERSION",
        help="of the consent that sharing a location implies")  # fmt: skip
    add("--token-api", choices=["stable", "classic"],
        help="how access tokens are fetched (default: stable)")  # fmt: skip
    add("--outreach", type=Path, metavar="FILE", help="how it writes to people, as JSON")
    add("--secrets", type=Path, metavar="FILE",
        help="lines token=…, aes_key=…, app_secret=…; default: standard input")  # fmt: skip
    return one


def _remove(verbs: Any) -> argparse.ArgumentParser:
    one = _of_account(verbs, "remove", "close an account and destroy its secrets")
    one.add_argument("--yes", action="store_true", help="do not ask")
    return one


def _url(verbs: Any) -> argparse.ArgumentParser:
    one = _of_account(verbs, "url", "what to enter in WeChat's console")
    one.add_argument(
        "--public-url", metavar="URL", help="where WeChat reaches geo_api (SOLOMO_GEO_PUBLIC_URL)"
    )
    return one


def _codes(verbs: Any) -> argparse.ArgumentParser:
    one = _of_account(verbs, "codes", "make codes for many stores, as pictures to print")
    wechat_codes.add_arguments(one)
    return one


def _settle(verbs: Any) -> argparse.ArgumentParser:
    one = _verb(verbs, "settle", "say that a notice was seen to")
    one.add_argument("notice", metavar="NOTICE_ID")
    return one


def run(arguments: argparse.Namespace, output: Output) -> int:
    verb = {
        "accounts": _list,
        "add": _put,
        "show": _show,
        "remove": _close,
        "check": _check,
        "url": _console,
        "codes": wechat_codes.run,
        "notices": _notices,
        "settle": _settled,
    }[arguments.verb]
    return verb(arguments, output)


def _list(arguments: argparse.Namespace, output: Output) -> int:
    accounts = _pages(arguments, "/accounts")
    output.table([_row(account) for account in accounts])
    text = None if accounts else "There is no account. Add one: ./solomo wechat add --help"
    output.result({"accounts": accounts}, text)
    return 0


def _row(account: dict[str, Any]) -> dict[str, object]:
    shown = ("account_id", "kind", "name", "app_id", "mode", "format")
    secrets = [name for name in ("token", "aes_key", "app_secret") if account[name]["set"]]
    return {name: account[name] for name in shown} | {"secrets": ", ".join(secrets)}


def _put(arguments: argparse.Namespace, output: Output) -> int:
    path = _account(arguments)
    headers = {"If-None-Match": "*"}
    body: dict[str, Any] = {}
    if arguments.change:
        held = _call(arguments, "GET", path).json()
        body = {name: held[name] for name in _FIELDS}
        headers = {"If-Match": f'"{held["version"]}"'}
    given = {name: getattr(arguments, name) for name in _FIELDS if name != "outreach"}
    body |= {name: value for name, value in given.items() if value is not None}
    if arguments.outreach is not None:
        body["outreach"] = _json_of(arguments.outreach)
    if arguments.secrets is not None or not arguments.change:
        body |= read_secrets(arguments.secrets)
    _require(body, arguments.account)
    answer = _call(arguments, "PUT", path, json=body, headers=headers)
    done = "Added" if answer.status_code == httpx.codes.CREATED else "Changed"
    next_step = f"Now: ./solomo wechat check {arguments.account}"
    output.result(answer.json(), f"{done} {arguments.account}. {next_step}")
    return 0


def _require(body: dict[str, Any], account: str) -> None:
    missing = [
        f"--{name.replace('_', '-')}" for name in ("kind", "name", "app_id") if name not in body
    ]
    if missing:
        hint = f"If {account} is there already, change it with --change."
        raise CommandFailed(f"A new account needs {', '.join(missing)}.", hint)


def _json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{path} cannot be read: {error}.") from error


def _show(arguments: argparse.Namespace, output: Output) -> int:
    account = _call(arguments, "GET", _account(arguments)).json()
    output.result(account, json.dumps(account, ensure_ascii=False, indent=2))
    return 0


def _close(arguments: argparse.Namespace, output: Output) -> int:
    account = _call(arguments, "GET", _account(arguments)).json()
    if not arguments.yes:
        output.step(f"{account['name']} ({account['app_id']}) will get no more pushes.")
        if _asked("Its secrets are destroyed. Close it? [y/N] ") != "y":
            raise CommandFailed("Nothing was changed.", "Without a terminal, say --yes.")
    _call(arguments, "DELETE", _account(arguments))
    output.result({"account_id": arguments.account, "closed": True}, f"Closed {arguments.account}.")
    return 0


def _asked(question: str) -> str:
    """Nothing, where nobody is there to answer."""
    try:
        return input(question).strip().lower()
    except EOFError:
        return ""


def _check(arguments: argparse.Namespace, output: Output) -> int:
    """1 where something is wrong."""
    checked = _call(arguments, "POST", f"{_account(arguments)}/check").json()
    for finding in checked["findings"]:
        output.say(f"{finding['verdict']:>8}  {finding['name']}: {finding['says']}")
        if finding["do"]:
            output.say(f"{'':>10}{finding['do']}")
        if finding["errcode"] is not None:
            output.say(f"{'':>10}errcode {finding['errcode']}, rid {finding['rid'] or 'not told'}")
    output.result(checked)
    return 0 if checked["ok"] else 1


def _console(arguments: argparse.Namespace, output: Output) -> int:
    account = _call(arguments, "GET", _account(arguments)).json()
    url = account["callback_url"]
    if arguments.public_url:
        url = checked_url(arguments.public_url) + f"/v1/wechat/{arguments.account}/callback"
    if url.startswith("/"):
        raise CommandFailed(
            "It is not known where WeChat reaches geo_api.",
            "Give --public-url https://…, or start with SOLOMO_GEO_PUBLIC_URL=https://… ./solomo up",
        )
    output.say("In WeChat's console, under development settings, server configuration:")
    output.say(f"  URL     {url}")
    output.say("  Token   the one that was added here; EncodingAESKey likewise")
    output.say(f"  Mode    {account['mode']}     Format   {account['format']}")
    output.result({"url": url, "mode": account["mode"], "format": account["format"]})
    return 0


def _notices(arguments: argparse.Namespace, output: Output) -> int:
    notices = _pages(arguments, "/notices")
    shown = ("id", "account_id", "kind", "count", "last_at", "detail")
    output.table([{name: notice[name] for name in shown} for notice in notices])
    output.result({"notices": notices}, None if notices else "There is nothing to look at.")
    return 0


def _settled(arguments: argparse.Namespace, output: Output) -> int:
    notice = _call(
        arguments, "POST", f"/notices/{quote(arguments.notice, safe='')}/settlement"
    ).json()
    output.result(notice, f"Settled: {notice['detail']}")
    return 0


def _account(arguments: argparse.Namespace) -> str:
    """Whatever its id is made of, it stays one part of the address."""
    return f"/accounts/{quote(arguments.account, safe='')}"


def _pages(arguments: argparse.Namespace, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
        page = _call(arguments, "GET", path, params=params).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def _call(
    arguments: argparse.Namespace,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    **sent: Any,
) -> httpx.Response:
    """Raises CommandFailed for whatever is no success."""
    url = geo_url(arguments)
    all_headers = bearer(arguments, "server") | (headers or {})
    try:
        with httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False) as client:
            answer = client.request(method, f"/v1/wechat{path}", headers=all_headers, **sent)
    except httpx.TransportError as error:
        raise unreachable(url, error) from error
    if not answer.is_success:
        raise refused(answer.status_code, answer.content)
    return answer

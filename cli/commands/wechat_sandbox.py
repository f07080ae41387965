"""``./solomo wechat-sandbox``: a stand-in for WeChat, for rehearsals without an account."""

import argparse
import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.arguments import between
from cli.client import checked_url
from cli.home import MAX_PORT, Home
from cli.output import CommandFailed, Output
from cli.processes import listener, port_is_free
from cli.rows import pairs

PORT = 8010

_EXAMPLES = """examples:
  ./solomo wechat-sandbox                     start it, and say how to connect an installation
  ./solomo wechat-sandbox --act mei scan account=shop scene=store-1
                                              in another terminal: somebody scans a poster
  ./solomo wechat-sandbox --act mei open account=shop-mini
                                              open the mini-program: gives a login code
docs/wechat.md, section Rehearsal, tells what people can do there and which faults can be ordered.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add("--port", type=between(1, MAX_PORT), default=PORT, metavar="PORT",
        help=f"on this machine (default: {PORT})")  # fmt: skip
    add("--geo-url", metavar="URL",
        help="whose callbacks the pushes go to; default: this installation's geo_api")  # fmt: skip
    add("--seed", default="1", metavar="TEXT",
        help="other app ids, secrets and openids; the same seed gives the same (default: 1)")  # fmt: skip
    add("--act", nargs="+", metavar=("PERSON", "ACT"),
        help="let a person of the running one do something: PERSON ACT [key=value ...]")  # fmt: skip


def run(arguments: argparse.Namespace, output: Output) -> int:
    return _act(arguments, output) if arguments.act else _serve(arguments, output)


def _serve(arguments: argparse.Namespace, output: Output) -> int:
    from wechat_sandbox.app import create_app  # noqa: PLC0415 - loads slowly
    from wechat_sandbox.example import furnish  # noqa: PLC0415
    from wechat_sandbox.serving import HOSTS, server_of  # noqa: PLC0415

    if not port_is_free(arguments.port):
        by = listener(arguments.port) or "another program"
        raise CommandFailed(f"Port {arguments.port} is taken by {by}.", "Name another: --port PORT")
    geo_url = checked_url(arguments.geo_url or Home.find().settings().geo_url)
    app = create_app(seed=arguments.seed, hosts=HOSTS)
    accounts = furnish(app.state.world, geo_url)
    document = _document(f"http://127.0.0.1:{arguments.port}", geo_url, accounts)
    output.result(document, _told(document))
    asyncio.run(server_of(app, arguments.port).serve())
    return 0


def _document(url: str, geo_url: str, accounts: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "url": url,
        "geo_url": geo_url,
        "settings": {"SOLOMO_WECHAT_API_BASES": url, "SOLOMO_WECHAT_MP_BASE": url},
        "accounts": {one.account_id: _record(one) for one in accounts},
    }


def _record(account: Any) -> dict[str, Any]:
    """What ``PUT /v1/wechat/accounts/{account_id}`` takes."""
    return {
        "kind": account.kind,
        "name": f"Rehearsal: {account.account_id}",
        "app_id": account.app_id,
        "original_id": account.original_id,
        "format": account.format,
        "mode": account.mode,
        "token": account.token,
        "aes_key": account.aes_key,
        "app_secret": account.app_secret,
        "location_datum": "wgs84",
    }


def _told(document: dict[str, Any]) -> str:
    settings = " ".join(f"{name}={value}" for name, value in document["settings"].items())
    lines = [
        f"WeChat's stand-in listens at {document['url']} (its interface: {document['url']}/docs).",
        "Connect this installation to it, in another terminal:",
        f"  {settings} ./solomo up",
    ]
    for account_id, record in document["accounts"].items():
        lines += [
            f"  curl -sX PUT {document['geo_url']}/v1/wechat/accounts/{account_id} \\",
            '    -H "Authorization: Bearer $(./solomo token server)" \\',
            f"    -H 'Content-Type: application/json' -d '{json.dumps(record)}'",
        ]
    lines += [
        "Then let somebody scan a poster:",
        "  ./solomo wechat-sandbox --act mei scan account=shop scene=store-1",
        "Ctrl-C ends it; it keeps nothing.",
    ]
    return "\n".join(lines)


def _act(arguments: argparse.Namespace, output: Output) -> int:
    """Values that read as JSON are taken as such: ``latitude=31.2``, ``answers={"a": "accept"}``."""
    if len(arguments.act) < 2:  # noqa: PLR2004 - the two words that must be there
        raise CommandFailed("--act needs a person and what they do.", "Such as: --act mei follow")
    person, act, *words = arguments.act
    fields = {name: _value(text) for name, text in pairs("--act", words)}
    url = f"http://127.0.0.1:{arguments.port}/sandbox/people/{person}/acts"
    try:
        answer = httpx.post(url, json={"act": act, "account": "shop", **fields}, trust_env=False)
    except httpx.TransportError as error:
        hint = "Start it: ./solomo wechat-sandbox"
        raise CommandFailed(f"Nothing answers at {urlsplit(url).netloc}.", hint) from error
    if answer.is_error:
        raise CommandFailed(_why(answer))
    output.result(answer.json(), json.dumps(answer.json(), indent=2, ensure_ascii=False))
    return 0


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

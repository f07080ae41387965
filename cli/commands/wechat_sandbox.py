"""``./solomo wechat-sandbox``: a stand-in for WeChat, for rehearsals without an account."""

import argparse
import asyncio
import json
from dataclasses import asdict
from typing import Any

from cli.arguments import between
from cli.client import add_connection_arguments, bearer, geo_url
from cli.home import MAX_PORT
from cli.output import CommandFailed, Output
from cli.processes import listener, port_is_free
from cli.rehearsal import StandIn, connect, record_of

PORT = 8010

_EXAMPLES = """examples:
  ./solomo wechat-sandbox                     start it, and say how to connect an installation
  ./solomo wechat-sandbox --connect           in another terminal: put its accounts there
  ./solomo wechat-sandbox --act mei scan scene=store-1
                                              somebody scans a poster of the shop's
  ./solomo wechat-sandbox --act mei open account=shop-mini
                                              open the mini-program: gives a login code
docs/wechat.md, section Rehearsal, tells what people can do there and which faults can be ordered.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add("--port", type=between(1, MAX_PORT), default=PORT, metavar="PORT",
        help=f"where it listens, on this machine (default: {PORT})")  # fmt: skip
    add("--seed", default="1", metavar="TEXT",
        help="other app ids, secrets and openids; the same seed gives the same (default: 1)")  # fmt: skip
    add("--connect", action="store_true",
        help="put the accounts of the running one into an installation, and check the callbacks")  # fmt: skip
    add("--act", nargs="+", metavar=("PERSON", "ACT"),
        help="let a person of the running one do something: PERSON ACT [key=value ...]")  # fmt: skip
    add_connection_arguments(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.act:
        told = StandIn(arguments.port).act(arguments.act)
        output.result(told, json.dumps(told, indent=2, ensure_ascii=False))
        return 0
    return _connect(arguments, output) if arguments.connect else _serve(arguments, output)


def _connect(arguments: argparse.Namespace, output: Output) -> int:
    """1 says that pushes of an account will not arrive."""
    found = connect(
        StandIn(arguments.port), geo_url(arguments), bearer(arguments, "server")
    )  # fmt: skip
    for account_id, one in found.items():
        state = "its callback answers" if one["verified"] else f"no pushes: {one['why']}"
        output.say(f"{account_id}: connected, {state}")
    output.result(found)
    return 0 if all(one["verified"] for one in found.values()) else 1


def _serve(arguments: argparse.Namespace, output: Output) -> int:
    from wechat_sandbox.app import create_app  # noqa: PLC0415 - loads slowly
    from wechat_sandbox.example import furnish  # noqa: PLC0415
    from wechat_sandbox.serving import HOSTS, server_of  # noqa: PLC0415

    if not port_is_free(arguments.port):
        by = listener(arguments.port) or "another program"
        raise CommandFailed(f"Port {arguments.port} is taken by {by}.", "Name another: --port PORT")
    app = create_app(seed=arguments.seed, hosts=HOSTS)
    accounts = furnish(app.state.world, geo_url(arguments))
    url = f"http://127.0.0.1:{arguments.port}"
    document = {
        "url": url,
        "settings": {"SOLOMO_WECHAT_API_BASES": url, "SOLOMO_WECHAT_MP_BASE": url},
        "accounts": {one.account_id: record_of(asdict(one)) for one in accounts},
    }
    output.result(
        document, _told(document, "" if arguments.port == PORT else f" --port {arguments.port}")
    )
    asyncio.run(server_of(app, arguments.port).serve())
    return 0


def _told(document: dict[str, Any], port: str) -> str:
    settings, record = document["settings"], document["accounts"]["shop"]
    given = " ".join(f"{name}={value}" for name, value in settings.items())
    shown = ("app_id", "app_secret", "token", "aes_key", "original_id", "mode", "format")
    return "\n".join([
        f"WeChat's stand-in listens at {document['url']}; its interface: {document['url']}/docs",
        f"It has the accounts {' and '.join(document['accounts'])} and the people mei and ada. shop:",
        *(f"  {name:12}{record[name]}" for name in shown),
        "Connect an installation to it, in another terminal:",
        f"  {given} ./solomo up",
        f"  ./solomo wechat-sandbox{port} --connect",
        "Let somebody scan a poster:",
        f"  ./solomo wechat-sandbox{port} --act mei scan scene=store-1",
        "Back to WeChat itself:",
        f"  {' '.join(f'{name}=' for name in settings)} ./solomo up",
        "Ctrl-C ends it; it keeps nothing.",
    ])  # fmt: skip

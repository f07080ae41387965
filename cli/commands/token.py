"""``./solomo token``: print a bearer token, signed with the operator key, or take one back."""

import argparse
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from cli.home import Home
from cli.output import CommandFailed, Output
from cli.revoking import claims_of, of_token, of_token_id, read_token, revoke_everywhere

_HOUR_S, _DAY_S = 3600, 86_400
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": _HOUR_S, "d": _DAY_S}
_TTL_S = {"server": 30 * _DAY_S, "marketer": 12 * _HOUR_S, "staff": 12 * _HOUR_S, "member": _HOUR_S}
_LONGEST_S = 366 * _DAY_S


def add_arguments(parser: argparse.ArgumentParser) -> None:
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE", title="roles")
    server = roles.add_parser("server", help="a server that calls for its users")
    server.add_argument("--name", default="server", help="what the key is called (default: server)")
    marketer = roles.add_parser("marketer", help="a person who makes offers and looks at people")
    marketer.add_argument("--name", default="marketer", help="who it is (default: marketer)")
    staff = roles.add_parser("staff", help="a person at the till of one store")
    staff.add_argument("--store", required=True, metavar="STORE", help="the store's id")
    staff.add_argument("--staff-id", required=True, metavar="ID", help="who it is")
    member = roles.add_parser("member", help="a member, told by one of their identities")
    member.add_argument("--namespace", required=True, help="such as app_user or phone")
    member.add_argument("--issuer", default="", help="who gave the id; empty for a phone")
    member.add_argument("--value", required=True, help="the id itself")
    for role in (server, marketer, staff, member):
        role.add_argument("--ttl", type=_seconds, metavar="TIME", help="such as 900, 15m, 12h, 30d")
        role.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON"
        )
    _add_revoke(roles)


def _add_revoke(roles: Any) -> None:
    revoke = roles.add_parser("revoke", help="take a token back: read from standard input")
    revoke.add_argument(
        "token_id", nargs="?", metavar="TOKEN_ID", help="its id, as --json printed it, instead"
    )
    revoke.add_argument("--token-file", type=Path, metavar="FILE", help="read the token from FILE")
    revoke.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(arguments: argparse.Namespace, output: Output) -> int:
    return _revoke(arguments, output) if arguments.role == "revoke" else _print(arguments, output)


def _print(arguments: argparse.Namespace, output: Output) -> int:
    from shared.auth import mint_operator_token  # noqa: PLC0415 - joserfc loads slowly

    keys = _keys() / "operator"
    role, ttl_s = arguments.role, arguments.ttl or _TTL_S[arguments.role]
    subject_id = _subject_id(keys, arguments) if role == "member" else None
    subject = str(subject_id or getattr(arguments, "staff_id", None) or arguments.name)
    token = mint_operator_token(
        keys,
        role=role,
        subject=subject,
        ttl_s=ttl_s,
        store_id=getattr(arguments, "store", None),
        subject_id=subject_id,
    )
    token_id = claims_of(token)["jti"]
    document = {"token": token, "token_id": token_id, "role": role, "subject": subject}
    output.result({**document, "expires_in_s": ttl_s}, token)
    return 0


def _revoke(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.token_id:
        revoked = of_token_id(arguments.token_id)
    else:
        revoked = of_token(read_token(arguments.token_file), _keys())
    revoke_everywhere(revoked)
    whose = f" of {revoked.role} {revoked.subject}" if revoked.role else ""
    text = f"Revoked token {revoked.token_id}{whose}. Both services refuse it within 2 seconds."
    output.result(asdict(revoked), text)
    return 0


def _keys() -> Path:
    """The folder of the keys: ``SOLOMO_KEYS_DIR``, as in a container, or the data folder's."""
    given = os.environ.get("SOLOMO_KEYS_DIR")
    if given:
        return Path(given)
    home = Home.find()
    home.require()
    return home.keys


def _subject_id(keys: Path, arguments: argparse.Namespace) -> UUID:
    from shared.errors import Malformed  # noqa: PLC0415
    from shared.identity import Namespace, normalise, subject_id  # noqa: PLC0415
    from shared.keys import load_identity_key  # noqa: PLC0415

    if arguments.namespace not in set(Namespace):
        raise CommandFailed(
            f"{arguments.namespace!r} is not a namespace.", f"Known are: {', '.join(Namespace)}."
        )
    try:
        identity = normalise(Namespace(arguments.namespace), arguments.issuer, arguments.value)
    except Malformed as error:
        raise CommandFailed(error.detail) from error
    return subject_id(load_identity_key(keys), identity)


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError("a time such as 900, 15m, 12h or 30d, at most 366d")
    return seconds

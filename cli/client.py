"""Calling the services from the command line: where they are, with which token, and what they say."""

import argparse
import os
from pathlib import Path
from typing import Any

import httpx
import orjson

from cli.home import Home
from cli.output import CommandFailed
from shared.auth import mint_operator_token

TOKEN_TTL_S = 24 * 3600
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
NDJSON = "application/x-ndjson"
_TOKEN_HINT = "Look at SOLOMO_TOKEN and --token-file, or make a token: ./solomo token --help"  # noqa: S105
_HINTS = {401: _TOKEN_HINT, 403: _TOKEN_HINT}


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--geo-url", metavar="URL", help="where geo_api is; default: this installation's"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a bearer token; default: SOLOMO_TOKEN, else one of this installation",
    )


def geo_url(arguments: argparse.Namespace) -> str:
    return checked_url(arguments.geo_url or Home.find().settings().geo_url)


def checked_url(url: str) -> str:
    """Without a slash at its end. Raises CommandFailed for what is no address of a service."""
    if not url.startswith(("http://", "https://")):
        raise CommandFailed(f"{url} is not an address.", "It looks like http://127.0.0.1:8001")
    return url.rstrip("/")


def bearer(arguments: argparse.Namespace, role: str) -> dict[str, str]:
    """The header that says who calls: the token given, else one made for ``role`` here.

    Raises CommandFailed when there is neither a token nor this installation's keys.
    """
    return {"Authorization": f"Bearer {_given_token(arguments.token_file) or own_token(role)}"}


def own_token(role: str, *, subject: str = "cli", store_id: str | None = None) -> str:
    """A token signed with this installation's operator key, good for a day."""
    given = os.environ.get("SOLOMO_KEYS_DIR")
    keys = (Path(given) if given else Home.find().keys) / "operator"
    try:
        return mint_operator_token(
            keys, role=role, subject=subject, ttl_s=TOKEN_TTL_S, store_id=store_id
        )
    except FileNotFoundError as error:
        hint = "Start with ./solomo up, or give a token in SOLOMO_TOKEN or --token-file."
        raise CommandFailed(f"There are no keys in {keys}.", hint) from error


def _given_token(path: Path | None) -> str:
    if path is None:
        return os.environ.get("SOLOMO_TOKEN", "").strip()
    try:
        return path.read_text().strip()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from error


def unreachable(url: str, error: Exception) -> CommandFailed:
    detail = str(error) or type(error).__name__
    return CommandFailed(f"{url} does not answer: {detail}.", "Is it up? See ./solomo status")


def refused(status: int, body: bytes) -> CommandFailed:
    """What a refusal says, in the words of its problem document where there is one."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = {"detail": body[:200].decode(errors="replace")}
    return problem_of({"status": status, **document})


def problem_of(document: dict[str, Any]) -> CommandFailed:
    """A problem document as the end of a command."""
    status, said = document.get("status"), document.get("detail") or document.get("title")
    hint = _HINTS.get(status) if isinstance(status, int) else None
    return CommandFailed(
        f"The service refused this ({status}): {said}".replace("?map=", "--map "), hint
    )

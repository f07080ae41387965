"""Taking a bearer token back before its time, in both services."""

import asyncio
import base64
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.database import Database, parse
from cli.home import Home
from cli.installation import load
from cli.output import CommandFailed

SCHEMAS = ("geo", "member")
_LONGEST_TOKEN_S = 367 * 86_400
"""No token lives longer; so long a revocation is kept of which only the token's id is known."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """``role`` and ``subject`` are None where only the token's id was given."""

    token_id: str
    expires_at: float
    role: str | None = None
    subject: str | None = None


def read_token(path: Path | None) -> str:
    """From a file, or standard input: other users of the machine see arguments.

    Raises CommandFailed.
    """
    if path is None and sys.stdin.isatty():
        print("Paste the token, then Enter: ", end="", file=sys.stderr, flush=True)
    try:
        text = sys.stdin.readline() if path is None else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path or 'Standard input'} cannot be read: {error}.") from error
    if not text.strip():
        hint = "Give it on standard input or in --token-file, or give its id as an argument."
        raise CommandFailed("There is no token.", hint)
    return text.strip()


def claims_of(token: str) -> dict[str, Any]:
    """What a token says of itself, its signature unseen. Raises ValueError."""
    _, payload, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return dict(claims)


def of_token(token: str, keys: Path) -> Revoked:
    """What revoking ``token`` takes; ``keys`` is the folder that holds the parties' folders.

    Raises CommandFailed when it is none of this installation, or good no more.
    """
    from joserfc.jwk import KeySet  # noqa: PLC0415 - loads slowly

    from shared.auth import read_signed  # noqa: PLC0415
    from shared.errors import Unauthenticated  # noqa: PLC0415

    try:
        public = KeySet.import_key_set(json.loads((keys / "operator/jwks.json").read_text()))
        claims = read_signed(token, public)
    except OSError as error:
        raise CommandFailed(f"{error.filename} cannot be read: {error.strerror}.") from error
    except Unauthenticated as error:
        raise CommandFailed(f"There is nothing to revoke. {error.detail}") from error
    return Revoked(claims["jti"], float(claims["exp"]), claims.get("role"), claims.get("sub"))


def of_token_id(token_id: str) -> Revoked:
    """Raises CommandFailed for a token in the place of its id."""
    if token_id.count(".") == 2:  # noqa: PLR2004 - the parts of a JWT
        hint = "Others see arguments. Give it on standard input: ./solomo token revoke < FILE"
        raise CommandFailed("This is a token, not a token's id.", hint)
    return Revoked(token_id, time.time() + _LONGEST_TOKEN_S)


def revoke_everywhere(revoked: Revoked) -> None:
    """Raises CommandFailed when the database does not take it."""
    asyncio.run(_revoke(_database(), revoked))


def _database() -> Database:
    """The administrator's: of this installation, or, in a container, as the environment says."""
    home, url = Home.find(), os.environ.get("SOLOMO_DATABASE_URL")
    return parse(url) if url and not home.exists else load(home).database


async def _revoke(database: Database, revoked: Revoked) -> None:
    from sqlalchemy import MetaData  # noqa: PLC0415 - loads slowly
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from shared.access import revoke, revoked_tokens_table  # noqa: PLC0415
    from shared.db import Database as Pool  # noqa: PLC0415

    pool = Pool.connect(database.sqlalchemy_url, pool_size=1)
    expires_at = datetime.fromtimestamp(revoked.expires_at, UTC)
    try:
        async with pool.transaction() as session:
            for schema in SCHEMAS:
                table = revoked_tokens_table(MetaData(schema=schema))
                await revoke(session, table, revoked.token_id, expires_at)
    except (OSError, SQLAlchemyError) as error:
        raise CommandFailed(
            f"The database at {database.place} did not take it: {type(error).__name__}.",
            "Nothing was revoked. Is it up? See ./solomo status",
        ) from error
    finally:
        await pool.close()

"""Bring a database up to date: ``python -m cli.migrate``. Repeating it changes nothing.

Reads ``SOLOMO_DATABASE_URL`` (an administrator's), ``SOLOMO_GEO_PASSWORD``,
``SOLOMO_MEMBER_PASSWORD`` and ``SOLOMO_KEYS_DIR`` (the folder that holds ``geo`` and
``member``). It makes the database, roles, schemas and rights, runs both services' migrations
as the schemas' owner, and refuses to go on with an identity key that is not the database's own.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from cli.connecting import connected
from cli.database import Database, parse
from cli.home import PROJECT
from cli.output import CommandFailed
from cli.postgres import OLDEST
from cli.revisions import heads

OWNER, GEO, MEMBER = "solomo_owner", "solomo_geo", "solomo_member"
SCHEMAS = ("geo", "member")
_LOCK = 0x501030
"""Key of the advisory lock that lets one migration run at a time."""
_ROLES = Path(__file__).with_name("roles.sql")
_SCRAM_ITERATIONS = 4096
_BASE_VERSION = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a migration needs to know; ``keys`` holds the parties' folders."""

    database: Database
    geo_password: str
    member_password: str
    keys: Path


def main() -> int:
    try:
        migrate(_plan(os.environ))
    except CommandFailed as error:
        print(f"solomo: {error.message}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        return 1
    return 0


def migrate(plan: Plan) -> None:
    """Raises CommandFailed when the server, its rights or the identity key do not fit."""
    asyncio.run(_within_lock(plan))


async def _within_lock(plan: Plan) -> None:
    await _create_database(plan.database)
    async with connected(plan.database) as admin:
        await admin.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _require_postgis(admin)
        owner_password = secrets.token_hex(24)
        passwords = {
            OWNER: owner_password, GEO: plan.geo_password, MEMBER: plan.member_password
        }  # fmt: skip
        try:
            for role, password in passwords.items():
                await _give_role(admin, role, password)
            await admin.execute(_ROLES.read_text())
            owner = plan.database.as_user(OWNER, owner_password)
            behind = [schema for schema in SCHEMAS if not await _is_current(admin, schema)]
            if behind:
                await asyncio.to_thread(_upgrade, owner.sqlalchemy_url, behind)
                await _protect(owner)
            await _require_identity_key(admin, plan.keys)
        except asyncpg.InsufficientPrivilegeError as error:
            raise CommandFailed(
                f"The database user {plan.database.user} lacks a right: {error}.",
                "SOLOMO_DATABASE_URL must name an administrator (a superuser, or CREATEDB and "
                "CREATEROLE with the right to create the extension postgis).",
            ) from error
        finally:
            # The owner of the tables can log in only while migrations run.
            await _close_role(admin, OWNER)


def _plan(environment: Mapping[str, str]) -> Plan:
    names = (
        "SOLOMO_DATABASE_URL", "SOLOMO_GEO_PASSWORD", "SOLOMO_MEMBER_PASSWORD", "SOLOMO_KEYS_DIR"
    )  # fmt: skip
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise CommandFailed(f"{', '.join(missing)} must be set.", __doc__)
    url, geo_password, member_password, keys = (environment[name] for name in names)
    return Plan(parse(url), geo_password, member_password, Path(keys))


async def _create_database(database: Database) -> None:
    try:
        async with connected(database):
            return
    except asyncpg.InvalidCatalogNameError:
        pass
    async with connected(database.named("postgres")) as admin:
        try:
            quoted = await admin.fetchval(
                "SELECT format('CREATE DATABASE %I', $1::text)", database.name
            )
            await admin.execute(f"{quoted} TEMPLATE template0 ENCODING 'UTF8'")
        except asyncpg.DuplicateDatabaseError:
            return
        except asyncpg.InsufficientPrivilegeError as error:
            raise CommandFailed(
                f"The database {database.name} does not exist and {database.user} may not make it.",
                "Create it, or let SOLOMO_DATABASE_URL name an administrator.",
            ) from error


async def _require_postgis(admin: asyncpg.Connection) -> None:
    number = int(await admin.fetchval("SHOW server_version_num"))
    if number < OLDEST * _BASE_VERSION:
        raise CommandFailed(
            f"The server is PostgreSQL {number // _BASE_VERSION}; {OLDEST} or later is needed."
        )
    known = "SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'"
    if not await admin.fetchval(known):
        raise CommandFailed(
            "The server has no PostGIS.",
            "Install its package on the server (Debian: postgresql-VERSION-postgis-3).",
        )


async def _give_role(admin: asyncpg.Connection, role: str, password: str) -> None:
    """Create the role or renew its password. Only the verifier reaches the server and its log."""
    exists = await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    statement = await admin.fetchval(
        "SELECT format('%s ROLE %I LOGIN PASSWORD %L', $1::text, $2::text, $3::text)",
        verb,
        role,
        _scram_verifier(password),
    )
    await admin.execute(statement)


def _scram_verifier(password: str) -> str:
    """What PostgreSQL keeps of an ASCII password. Source: RFC 5803; PostgreSQL 15, 53.8."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _SCRAM_ITERATIONS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, client_text, server_text = (
        base64.b64encode(part).decode() for part in (salt, client, server)
    )
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt_text}${client_text}:{server_text}"


async def _close_role(admin: asyncpg.Connection, role: str) -> None:
    if await admin.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", role):
        await admin.execute(f"ALTER ROLE {role} NOLOGIN PASSWORD NULL")


async def _is_current(admin: asyncpg.Connection, schema: str) -> bool:
    """Whether the schema stands at the newest migration, so that Alembic need not be loaded."""
    table = f"{schema}.alembic_version"
    if not await admin.fetchval("SELECT to_regclass($1)", table):
        return False
    rows = await admin.fetch(f"SELECT version_num FROM {table}")
    return {row["version_num"] for row in rows} == heads(_migrations(schema) / "versions")


def _upgrade(url: str, schemas: list[str]) -> None:
    """Run the migrations of ``schemas``; each ``env.py`` reads the URL from the environment."""
    from alembic import command  # noqa: PLC0415 - loads slowly, and not before the server is known
    from alembic.config import Config  # noqa: PLC0415

    before = os.environ.get("SOLOMO_DATABASE_URL")
    os.environ["SOLOMO_DATABASE_URL"] = url
    try:
        for schema in schemas:
            command.upgrade(Config(_migrations(schema) / "alembic.ini"), "head")
    finally:
        os.environ.pop("SOLOMO_DATABASE_URL")
        if before is not None:
            os.environ["SOLOMO_DATABASE_URL"] = before


def _migrations(schema: str) -> Path:
    return PROJECT / "services" / f"{schema}_api" / "migrations"


async def _protect(owner: Database) -> None:
    """A service reads which installation and version it is in, and cannot change that."""
    async with connected(owner) as connection:
        for schema in SCHEMAS:
            for table in ("installation", "alembic_version"):
                name = f"{schema}.{table}"
                if await connection.fetchval("SELECT to_regclass($1)", name):
                    await connection.execute(
                        f"REVOKE INSERT, UPDATE, DELETE ON {name} FROM solomo_{schema}"
                    )


async def _require_identity_key(admin: asyncpg.Connection, keys: Path) -> None:
    """Remember the identity key's fingerprint at the first run; refuse another key later."""
    from shared.keys import identity_fingerprint  # noqa: PLC0415 - cryptography loads slowly

    for schema in SCHEMAS:
        try:
            fingerprint = identity_fingerprint(keys / schema)
        except OSError as error:
            raise CommandFailed(
                f"The identity key is missing in {keys / schema}: {error.strerror}.",
                "Restore the keys folder from the backup; for a new installation run the keys step.",
            ) from error
        table = f"{schema}.installation"
        known = await admin.fetchval(f"SELECT identity_key_fingerprint FROM {table}")
        if known is None:
            await admin.execute(
                f"INSERT INTO {table} (id, identity_key_fingerprint) VALUES (1, $1)", fingerprint
            )
        elif known != fingerprint:
            raise CommandFailed(
                "The identity key is not the one this database was made with: under it every "
                "known person would become a stranger. Nothing was started.",
                f"Restore the keys that belong to this database into {keys}.",
            )


if __name__ == "__main__":
    raise SystemExit(main())

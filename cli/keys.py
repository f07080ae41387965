"""Make the keys of an installation: ``python -m cli.keys``. Repeating it changes nothing.

Reads ``SOLOMO_KEYS_DIR`` (the folder of the keys) and ``SOLOMO_DATABASE_URL`` (an
administrator's): keys are never made anew for a database that was written under others.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.database import Database, parse
from cli.output import CommandFailed


def provide_keys(directory: Path, is_in_use: Callable[[], bool]) -> None:
    """Make whatever key is missing; never touch one that exists.

    ``is_in_use`` says whether the database was written under keys; it is asked only when one is
    missing that no new key can stand in for. Raises CommandFailed when it was.
    """
    from shared.keys import (  # noqa: PLC0415 - cryptography loads slowly
        create_installation_keys,
        missing_keys,
    )

    missing = missing_keys(directory)
    if missing and is_in_use():
        raise CommandFailed(
            f"Missing in {directory}: {', '.join(missing)}. Under new keys nothing of the database "
            "could be read. Nothing was started.",
            "Restore the keys folder from the backup that belongs to this database.",
        )
    create_installation_keys(directory)


def remembers_keys(database: Database) -> bool:
    """Whether the migrations noted the fingerprint of an identity key. Raises CommandFailed."""
    return asyncio.run(_remembers_keys(database))


async def _remembers_keys(database: Database) -> bool:
    import asyncpg  # noqa: PLC0415 - asked rarely, and loads slowly

    from cli.connecting import connected  # noqa: PLC0415 - as above

    try:
        async with connected(database) as connection:
            for table in ("geo.installation", "member.installation"):
                exists = await connection.fetchval("SELECT to_regclass($1)", table)
                if exists and await connection.fetchval(f"SELECT count(*) FROM {table}"):
                    return True
    except asyncpg.InvalidCatalogNameError:
        return False
    return False


def main() -> int:
    try:
        directory, database = _given(os.environ)
        provide_keys(directory, lambda: remembers_keys(database))
    except CommandFailed as error:
        print(f"solomo: {error.message}", error.hint or "", sep="\n", file=sys.stderr)
        return 1
    return 0


def _given(environment: Mapping[str, str]) -> tuple[Path, Database]:
    directory, url = map(environment.get, ("SOLOMO_KEYS_DIR", "SOLOMO_DATABASE_URL"))
    if not directory or not url:
        raise CommandFailed("SOLOMO_KEYS_DIR and SOLOMO_DATABASE_URL must be set.", __doc__)
    return Path(directory), parse(url)


if __name__ == "__main__":
    raise SystemExit(main())

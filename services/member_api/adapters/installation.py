"""The tie between a database and the identity key: with another key everybody is a stranger."""

from pathlib import Path

from sqlalchemy import text

from shared.db import Database
from shared.keys import identity_fingerprint

_READ = text("SELECT identity_key_fingerprint FROM member.installation")


class AnotherInstallation(SystemExit):
    """Ends the process: the keys do not belong to this database."""


async def require_same_installation(database: Database, keys_dir: Path) -> None:
    """Raises AnotherInstallation where the migration noted the fingerprint of another key."""
    async with database.begin() as connection:
        bound_to = await connection.scalar(_READ)
    if bound_to is not None and bound_to != identity_fingerprint(keys_dir):
        raise AnotherInstallation(
            "The identity key is not the one this database was filled with; nobody would be"
            " recognised. Restore keys/member/identity.key from the backup of this database."
        )

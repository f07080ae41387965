"""The tie between a database and the identity key: with another key everybody is a stranger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import text

from shared.db import Database
from shared.errors import Unavailable
from shared.keys import identity_fingerprint

RETRY_S = 0.5

_READ = text("SELECT identity_key_fingerprint FROM member.installation")
_NOT_READ = "was not read yet: the database is not there, or not set up"
_ANOTHERS = "the identity key is not the one of this database"

_log = structlog.get_logger(__name__)


class AnotherInstallation(SystemExit):
    """Ends the process: the keys do not belong to this database."""


@dataclass(slots=True)
class Installation:
    """Whether the database belongs to the keys in ``keys_dir``, once it is there to say so."""

    database: Database
    keys_dir: Path
    _doubt: str | None = _NOT_READ

    async def doubt(self) -> str | None:
        """What speaks against answering; None when nothing does."""
        return self._doubt

    def require(self) -> None:
        """Raises Unavailable until the database is known to belong to the keys."""
        if self._doubt is not None:
            raise Unavailable("The service is not ready; /readyz says why. Send it again later.")

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Ask before anything is answered; without the database, ask on until it comes.

        Raises AnotherInstallation where the migration noted the fingerprint of another key.
        """
        await self._ask()
        if self._doubt == _ANOTHERS:
            raise AnotherInstallation(
                "The identity key is not the one this database was filled with; nobody would be"
                " recognised. Restore keys/member/identity.key from the backup of this database."
            )
        task = asyncio.create_task(self._ask_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _ask_on(self) -> None:
        while self._doubt is not None:
            await asyncio.sleep(RETRY_S)
            await self._ask()

    async def _ask(self) -> None:
        before = self._doubt
        try:
            async with self.database.begin() as connection:
                bound_to = await connection.scalar(_READ)
        except Exception as error:  # noqa: BLE001 - whatever keeps it away, it may come yet
            _log.warning("installation_not_read", error=type(error).__name__)
            return
        is_ours = bound_to is None or bound_to == identity_fingerprint(self.keys_dir)
        self._doubt = None if is_ours else _ANOTHERS
        if self._doubt != before:
            _log.info("installation_read", doubt=self._doubt)

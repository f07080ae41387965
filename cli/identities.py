"""Who the subjects of a dump are: every identity opened, in an order that no key decides."""

import sqlite3
from collections.abc import Iterator, Sequence
from uuid import UUID

import asyncpg
import orjson

from cli.canonical import RANKS
from shared.sealing import OpeningKey

_ROWS_AT_ONCE = 1_000
_REMEMBERED = 10_000


class Identities:
    """Ranks subjects by their identities' text, on disk where they do not fit into memory.

    The file is SQLite's own, private and without a name: it goes when this does.
    """

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")
        self._rows.execute("CREATE TABLE opened (identity TEXT NOT NULL, subject BLOB NOT NULL)")
        self._rows.execute("CREATE TABLE ranked (rank INTEGER PRIMARY KEY, identity TEXT NOT NULL)")
        self._remembered: dict[int, list[str]] = {}

    def close(self) -> None:
        self._rows.close()

    async def read(self, connection: asyncpg.Connection, key: OpeningKey) -> None:
        """Open all identities, and make ``dump_ranks`` in the session of ``connection``."""
        async with connection.transaction(readonly=True):
            sealed = "SELECT subject_id, sealed FROM member.identities"
            batch: list[tuple[str, bytes]] = []
            async for subject_id, box in connection.cursor(sealed, prefetch=_ROWS_AT_ONCE):
                opened = orjson.dumps(orjson.loads(key.open(box))).decode()
                batch.append((opened, UUID(str(subject_id)).bytes))
                if len(batch) >= _ROWS_AT_ONCE:
                    self._add(batch)
                    batch = []
            self._add(batch)
        self._rows.execute(
            "INSERT INTO ranked (identity) SELECT DISTINCT identity FROM opened ORDER BY identity"
        )
        self._rows.execute("CREATE UNIQUE INDEX by_identity ON ranked (identity)")
        await connection.execute(RANKS)
        await connection.copy_records_to_table("dump_ranks", records=self._ranks())
        await connection.execute("ANALYZE dump_ranks")

    def names(self, ranks: Sequence[int | None]) -> list[list[str] | None]:
        """``[namespace, issuer, value]`` of each; None for one that member_api has not heard of."""
        return [None if rank is None else self._name(rank) for rank in ranks]

    def _name(self, rank: int) -> list[str]:
        known = self._remembered.get(rank)
        if known is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            found = self._rows.execute("SELECT identity FROM ranked WHERE rank = ?", (rank,))
            known = self._remembered[rank] = list(orjson.loads(found.fetchone()[0]))
        return known

    def _add(self, batch: list[tuple[str, bytes]]) -> None:
        self._rows.executemany("INSERT INTO opened VALUES (?, ?)", batch)

    def _ranks(self) -> Iterator[tuple[UUID, int]]:
        ranks = "SELECT subject, rank FROM opened JOIN ranked USING (identity)"
        for subject, rank in self._rows.execute(ranks):
            yield UUID(bytes=subject), rank

"""``./solomo dump``: the state of both services as sorted lines, for comparing two runs."""

import argparse
import asyncio
import hashlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson

from cli.canonical import SECTIONS, Section
from cli.home import Home
from cli.identities import Identities
from cli.installation import load
from cli.output import CommandFailed, Output
from shared.keys import load_member_keys
from shared.sealing import OpeningKey

Write = Callable[[bytes], Any]

_ROWS_AT_ONCE = 1_000
_POLL_S = 0.5
_SORTED = orjson.OPT_SORT_KEYS

WAITING = """
SELECT (SELECT count(*) FROM geo.outbox WHERE parked_at IS NULL) AS geo,
       (SELECT count(*) FROM member.outbox WHERE parked_at IS NULL) AS member,
       (SELECT count(*) FROM geo.outbox WHERE parked_at IS NOT NULL)
     + (SELECT count(*) FROM member.outbox WHERE parked_at IS NOT NULL) AS parked
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--canonical", action="store_true",
        help="only what two runs of the same input agree on: no server-made ids, no receive times")  # fmt: skip
    add("--wait", action="store_true", help="first wait until both services have heard everything")
    add("--patience", type=float, default=600.0, metavar="S",
        help="wait for so many seconds while nothing moves (default: 600)")  # fmt: skip
    add("--sha256", action="store_true", help="print only a digest of each section")


def run(arguments: argparse.Namespace, output: Output) -> int:
    installation = load(Home.find())
    try:
        key = load_member_keys(installation.home.keys / "member").opening
    except FileNotFoundError as error:
        hint = "Restore the keys folder from the backup."
        raise CommandFailed("The key that opens identities is missing.", hint) from error
    asyncio.run(dump(installation.database.url, key, arguments, output))
    return 0


async def dump(
    database_url: str, key: OpeningKey, arguments: argparse.Namespace, output: Output
) -> None:
    """Dump the database at ``database_url``, an administrator's. Raises CommandFailed."""
    async with _connected(database_url) as connection:
        await _until_heard(connection, arguments, output)
        identities = Identities()
        try:
            await identities.read(connection, key)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                printer = _Printer(connection, identities, canonical=arguments.canonical)
                if arguments.sha256:
                    await _print_digests(printer, output)
                else:
                    await _print_rows(printer, output)
        finally:
            identities.close()


async def _print_rows(printer: "_Printer", output: Output) -> None:
    """A line for each row; with ``--json`` all of them in one array."""
    out = sys.stdout.buffer
    separator, count = (b",\n" if output.as_json else b"\n"), 0
    if output.as_json:
        out.write(b"[")
    for section in SECTIONS:
        async for line in printer.lines(section):
            out.write(separator + line if count else line)
            count += 1
    out.write(b"]\n" if output.as_json else b"\n" * bool(count))
    out.flush()


async def _print_digests(printer: "_Printer", output: Output) -> None:
    digests = {section.name: await printer.digest(section) for section in SECTIONS}
    lines = [f"{one['sha256']}  {one['rows']:>9}  {name}" for name, one in digests.items()]
    output.result(digests, "\n".join(lines))


class _Printer:
    """Turns the rows of sections into lines, never holding more than a page of them."""

    def __init__(
        self, connection: asyncpg.Connection, identities: Identities, *, canonical: bool
    ) -> None:
        self._connection = connection
        self._identities = identities
        self._canonical = canonical

    async def lines(self, section: Section) -> AsyncIterator[bytes]:
        cursor = self._connection.cursor(section.query, prefetch=_ROWS_AT_ONCE)
        async for whos, facts, made in cursor:
            row = {"section": section.name, **orjson.loads(facts)}
            if not self._canonical:
                row["server"] = orjson.loads(made)
            if whos is not None:
                named = self._identities.names(whos)
                row |= {"identities": named} if section.of_several else {"identity": named[0]}
            yield orjson.dumps(row, option=_SORTED)

    async def digest(self, section: Section) -> dict[str, Any]:
        digest, rows = hashlib.sha256(), 0
        async for line in self.lines(section):
            digest.update(line + b"\n")
            rows += 1
        return {"rows": rows, "sha256": digest.hexdigest()}


async def _until_heard(
    connection: asyncpg.Connection, arguments: argparse.Namespace, output: Output
) -> None:
    """Wait, if asked to, until both outboxes are empty; tell of events that are parked.

    Raises CommandFailed when nothing moves any more.
    """
    moved_at, before = time.monotonic(), None
    while True:
        [(geo, member, parked)] = await connection.fetch(WAITING)
        if not arguments.wait or geo == member == 0:
            break
        if (geo, member) != before:
            output.step(f"Waiting: geo_api has {geo} to tell, member_api {member} ...")
            moved_at, before = time.monotonic(), (geo, member)
        if time.monotonic() - moved_at > arguments.patience:
            message = f"Nothing moves: geo_api has {geo} to tell, member_api {member}."
            raise CommandFailed(message, "Are both up? See ./solomo status")
        await asyncio.sleep(_POLL_S)
    if parked:
        output.step(f"{parked} events are parked and missing from this dump: ./solomo status")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(url, timeout=30, server_settings={"timezone": "UTC"})
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        hint = "Is the database up? See ./solomo status"
        raise CommandFailed(f"The database does not answer: {error}.", hint) from error
    try:
        yield connection
    except asyncpg.PostgresError as error:
        raise CommandFailed(f"The database refused to be read: {error}.") from error
    finally:
        await connection.close()

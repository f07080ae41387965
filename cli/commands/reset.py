"""``./solomo reset``: stop, and delete the data of this installation."""

import argparse
import asyncio
import shutil
import sys

import asyncpg

from cli.commands.down import stop
from cli.home import Home
from cli.installation import Installation, load, locked
from cli.output import CommandFailed, Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace, output: Output) -> int:
    home = Home.find()
    home.require()
    if not arguments.yes:
        _ask(home)
    with locked(home, output):
        installation = load(home)
        stop(installation, output)
        _delete(installation)
    text = f"Deleted {home.path}. A new start: ./solomo up"
    output.result({"deleted": str(home.path)}, text)
    return 0


def _ask(home: Home) -> None:
    """Raises CommandFailed unless a person at a terminal says yes."""
    if not sys.stdin.isatty():
        raise CommandFailed("reset deletes all data and keys.", "Say so: ./solomo reset --yes")
    print(f"This deletes all data and keys in {home.path}. Type yes to go on: ", end="")
    if input().strip() != "yes":
        raise CommandFailed("Nothing was deleted.")


def _delete(installation: Installation) -> None:
    """The settings go last, so that an interrupted reset can be repeated."""
    home = installation.home
    if installation.cluster is not None:
        installation.cluster.delete()
    else:
        asyncio.run(_drop_schemas(installation.database.url))
    for folder in (home.keys, home.logs, home.run):
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("secrets.json", "settings.json", "lock"):
        (home.path / name).unlink(missing_ok=True)
    if not any(home.path.iterdir()):
        home.path.rmdir()


async def _drop_schemas(url: str) -> None:
    """On a server that is not ours only what we made is taken away."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise CommandFailed(f"The database cannot be emptied: {error}.") from error
    try:
        await connection.execute("DROP SCHEMA IF EXISTS geo, member CASCADE")
    finally:
        await connection.close()

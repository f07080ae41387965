"""``./solomo up``: set up what is missing, start what is down, take code that is new."""

import argparse
import os
import subprocess
import sys
import time
from typing import Any

from cli.cluster import PortTaken
from cli.home import PROJECT, Home, Secrets
from cli.installation import Installation, locked, prepare, require_space
from cli.keys import provide_keys, remembers_keys
from cli.output import CommandFailed, Output
from cli.parts import Part, environment_of

_PORTS_TRIED = 3
_NEEDED_BYTES = 1024**3
_NEEDED_AGAIN_BYTES = 128 * 1024**2
"""For what was set up before: it must come back on a disk that is nearly full."""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """No arguments: ports and the number of workers are SOLOMO_* variables."""


def run(_arguments: argparse.Namespace, output: Output) -> int:
    began = time.monotonic()
    home = Home.find()
    home.create()
    require_space(home, _NEEDED_AGAIN_BYTES if home.exists else _NEEDED_BYTES)
    with locked(home, output):
        installation, started = _bring_up_somewhere(home, output)
    _tell(installation, started, time.monotonic() - began, output)
    return 0


def _bring_up_somewhere(home: Home, output: Output) -> tuple[Installation, list[str]]:
    """Bring up; at another port where somebody took PostgreSQL's while it was starting."""
    for left in reversed(range(_PORTS_TRIED)):
        installation = prepare(home, os.environ.get("SOLOMO_DATABASE_URL"), output)
        try:
            return installation, _bring_up(installation, output)
        except PortTaken as taken:
            if not left:
                raise
            output.step(str(taken))
    raise AssertionError("the last try returns or raises")


def _bring_up(installation: Installation, output: Output) -> list[str]:
    """Start what is down, in order; gives back what had to be started."""
    provide_keys(installation.home.keys, lambda: _is_in_use(installation))
    started = []
    if installation.cluster is not None and installation.cluster.process is None:
        output.step("Starting PostgreSQL ...")
        installation.cluster.start(output)
        started.append("postgres")
    wanted = {part: _environment(part, installation) for part in installation.parts}
    down = [part for part in installation.parts if not _serves(part, wanted[part])]
    if not down:
        return started
    old = [part.name for part in down if part.runs_other_code]
    output.step("Bringing the database up to date ...")
    _migrate(installation)
    if old:
        output.step(f"The code has changed since {' and '.join(old)} began: taking the new ...")
    output.step(f"Starting {' and '.join(part.name for part in down)} ...")
    _start(down, wanted)
    return [*started, *(part.name for part in down)]


def _is_in_use(installation: Installation) -> bool:
    """Whether the database may hold what was written under keys; a server of ours may be down."""
    if installation.cluster is not None:
        return installation.cluster.exists
    return remembers_keys(installation.database)


def _serves(part: Part, environment: dict[str, str]) -> bool:
    return part.process is not None and part.fits(environment) and part.is_ready()


def _start(down: list[Part], wanted: dict[Part, dict[str, str]]) -> None:
    """Start together, then wait for each; what runs is ended only for what will start."""
    for part in down:
        if part.process is not None:
            part.require_settings(wanted[part])
    for part in down:
        part.stop()
    begun = [(part, part.start(wanted[part])) for part in down]
    for part, process in begun:
        part.wait_until_ready(process)


def _environment(part: Part, installation: Installation) -> dict[str, str]:
    secrets = installation.home.secrets()
    password = secrets.geo_password if part.schema == "geo" else secrets.member_password
    own = installation.database.as_user(f"solomo_{part.schema}", password)
    return environment_of(part, installation.settings, own)


def _migrate(installation: Installation) -> None:
    """In a process of its own, told the secrets by its environment."""
    secrets: Secrets = installation.home.secrets()
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "SOLOMO_DATABASE_URL": installation.database.url,
        "SOLOMO_GEO_PASSWORD": secrets.geo_password,
        "SOLOMO_MEMBER_PASSWORD": secrets.member_password,
        "SOLOMO_KEYS_DIR": str(installation.home.keys),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli.migrate"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        message, _, hint = done.stderr.removeprefix("solomo: ").strip().partition("\n")
        if not done.stderr.startswith("solomo: "):
            log = installation.home.logs / "migrate.log"
            log.write_text(done.stderr)
            message, hint = f"A migration failed: {done.stderr.splitlines()[-1]}", f"See {log}."
        raise CommandFailed(message, hint or None)


def _tell(installation: Installation, started: list[str], took_s: float, output: Output) -> None:
    document: dict[str, Any] = {
        **installation.urls,
        "home": str(installation.home.path),
        "database": installation.database.place,
        "started": started,
        "took_s": round(took_s, 2),
    }
    state = f"Started in {took_s:.1f} s." if started else "Everything was running already."
    output.say(state)
    output.say(f"  geo_api     {installation.settings.geo_url}/docs")
    output.say(f"  member_api  {installation.settings.member_url}/docs")
    output.say(f"  database    {installation.database.place}")
    output.say(f"  data        {installation.home.path}")
    output.say("Next: ./solomo demo")
    output.result(document)

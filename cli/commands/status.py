"""``./solomo status``: what runs, where, in which version, and how far the feeds are behind."""

import argparse
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from cli.home import PROJECT, Home
from cli.installation import Installation, load
from cli.output import Output
from cli.parts import Part

_DOWN = 3
"""Exit code when something is down, as service managers have it (LSB)."""

_LAG = re.compile(
    r"^solomo_feed_(waiting|oldest_age_seconds|parked)(?:\{[^}]*\})? (\S+)$", re.MULTILINE
)

_FAILURES = re.compile(
    r'^solomo_maintenance_failures\{(?:[^}]*,)?job="(\w+)"[^}]*\} (\S+)$', re.MULTILINE
)


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(_arguments: argparse.Namespace, output: Output) -> int:
    installation = load(Home.find())
    rows = [*map(_service, installation.parts), _database(installation)]
    output.table([{**row, "process": row["process"] or "-"} for row in rows])
    metrics = {part.name: _metrics(part) for part in installation.parts}
    feeds = {name: _feeds(said) for name, said in metrics.items()}
    for name, values in feeds.items():
        if values:
            output.say(_sentence(name, values))
    failures = {name: _failing(said) for name, said in metrics.items()}
    for name, jobs in failures.items():
        for job, times in jobs.items():
            output.say(f"Job {job} of {name} has failed {times} times in a row; see the log.")
    if installation.settings.services:
        output.say(_settings(installation.settings.services))
    document = {
        "version": _version(), "home": str(installation.home.path), "parts": rows, "feeds": feeds,
        "failing_jobs": failures, "settings": installation.settings.variables,
    }  # fmt: skip
    output.result(document, f"SOLOMO {_version()}, data in {installation.home.path}")
    return 0 if all(row["state"] == "ready" for row in rows) else _DOWN


def _service(part: Part) -> dict[str, Any]:
    process = part.process
    ready = part.get("/readyz") if process else None
    if process is None:
        state, detail = "down", "start it: ./solomo up"
    elif ready is None:
        state, detail = "starting", f"see {part.log}"
    else:
        state = "ready" if ready[0] == 200 else "not ready"  # noqa: PLR2004 - HTTP's OK
        detail = _shortened(ready[1]) if state == "not ready" else _news(part)
    return {"part": part.name, "state": state, "address": part.url, "process": process,
            "detail": detail}  # fmt: skip


def _news(part: Part) -> str:
    return "runs older code; take the new: ./solomo up" if part.runs_other_code else ""


def _database(installation: Installation) -> dict[str, Any]:
    cluster = installation.cluster
    if cluster is None:
        return {"part": "postgres", "state": "ready", "address": installation.database.place,
                "process": None, "detail": "a server of its own; not watched here"}  # fmt: skip
    process = cluster.process
    detail = f"PostgreSQL {cluster.major or '?'} in {cluster.directory}"
    if process is None:
        detail += "; start it: ./solomo up"
    return {"part": "postgres", "state": "ready" if process else "down",
            "address": installation.database.place, "process": process,
            "detail": detail}  # fmt: skip


def _metrics(part: Part) -> str:
    answer = part.get("/metrics") if part.process else None
    return answer[1] if answer else ""


def _feeds(metrics: str) -> dict[str, float]:
    """How far behind a part's feed is, as its metrics tell; the worst of its processes."""
    values: dict[str, float] = {}
    for name, value in _LAG.findall(metrics):
        values[name] = max(float(value), values.get(name, 0.0))
    return values


def _failing(metrics: str) -> dict[str, int]:
    """How often each periodic job that does not end well has failed since it last did."""
    return {job: int(float(times)) for job, times in _FAILURES.findall(metrics) if float(times)}


def _sentence(part: str, feed: Mapping[str, float]) -> str:
    waiting, parked = int(feed.get("waiting", 0)), int(feed.get("parked", 0))
    age_s = feed.get("oldest_age_seconds", 0.0)
    return f"Feed of {part}: {waiting} waiting, the oldest for {age_s:.0f} s, {parked} parked."


def _settings(services: Mapping[str, str]) -> str:
    told = ", ".join(f"{name}={value}" for name, value in services.items())
    return f"Settings: {told}."


def _shortened(body: str) -> str:
    try:
        return str(json.loads(body).get("detail", body))[:200]
    except (ValueError, AttributeError):
        return body[:200]


def _version() -> str:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])

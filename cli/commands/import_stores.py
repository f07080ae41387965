"""``./solomo import stores FILE``: stores and their geofences from CSV, GeoJSON or KML."""

import argparse
import gzip
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson

from cli.arguments import metres
from cli.client import (
    NDJSON,
    add_connection_arguments,
    bearer,
    geo_url,
    problem_of,
    refused,
    unreachable,
)
from cli.output import CommandFailed, Output
from cli.rows import pairs
from cli.store_files import StoreFile, read_store_file
from shared.datum import Datum

_TIMEOUT = httpx.Timeout(300.0, connect=5.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("what", choices=["stores"], help="what the file holds")
    add("file", type=Path, metavar="FILE",
        help="CSV, a GeoJSON FeatureCollection or KML; gzipped or not")  # fmt: skip
    add("--datum", choices=[d.value for d in Datum], default="wgs84",
        help="of the file's coordinates (default: wgs84)")  # fmt: skip
    add("--radius-m", type=metres, metavar="M",
        help="of the circle for a row without an outline or a radius of its own")  # fmt: skip
    add("--timezone", metavar="ZONE",
        help="for rows without one, such as America/New_York (default: that of the place)")  # fmt: skip
    add("--brand", help="for rows without one")
    add("--map", action="append", default=[], metavar="FIELD=COLUMN",
        help="where a field stands, if not under a usual name; may be repeated")  # fmt: skip
    add("--where", action="append", default=[], metavar="COLUMN=VALUE",
        help="only rows in which this holds; may be repeated")  # fmt: skip
    add("--dry-run", action="store_true", help="only say what would happen")
    add_connection_arguments(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    where = pairs("--where", arguments.where)
    query = _query(arguments)
    file = read_store_file(arguments.file, where, arguments.brand)
    report = _send(arguments, file, query, output)
    for row in report["refused"]:
        row["line"] = file.line(row["line"])
    output.result(report, _summary(report))
    return 1 if report["refused_count"] == report["received"] > 0 else 0


def _query(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    named = {"datum": arguments.datum, "radius_m": arguments.radius_m}
    named |= {"timezone": arguments.timezone, "dry_run": arguments.dry_run or None}
    query = [(name, str(value)) for name, value in named.items() if value is not None]
    return query + [("map", f"{field}={column}") for field, column in pairs("--map", arguments.map)]


def _send(
    arguments: argparse.Namespace, file: StoreFile, query: list[tuple[str, str]], output: Output
) -> dict[str, Any]:
    """The report of the import. Raises CommandFailed."""
    url = geo_url(arguments)
    headers = bearer(arguments, "marketer") | {
        "Content-Type": file.media_type,
        "Content-Encoding": "gzip",
        "Accept": NDJSON,
        "Idempotency-Key": str(uuid4()),
    }
    body = gzip.compress(file.content, mtime=0)
    try:
        with (
            httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False) as client,
            client.stream(
                "POST", "/v1/stores/import", params=tuple(query), content=body, headers=headers
            ) as response,
        ):
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                raise refused(response.status_code, response.read())
            return _report(_lines(response), output)
    except httpx.TransportError as error:
        raise unreachable(url, error) from error


def _lines(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        yield orjson.loads(line)


def _report(lines: Iterator[dict[str, Any]], output: Output) -> dict[str, Any]:
    """Show progress until the last line, which is the report or says why there is none."""
    with output.progress() as progress:
        task = progress.add_task("Importing", total=None)
        for line in lines:
            if "progress" in line:
                done = line["progress"]
                progress.update(task, completed=done["done"], total=done["of"])
            elif "problem" in line:
                raise problem_of(line["problem"])
            else:
                return line
    hint = "Run the same command again: nothing is stored twice."
    raise CommandFailed("The connection ended before the report came.", hint)


def _summary(report: dict[str, Any]) -> str:
    lines = ["A dry run: nothing was stored."] if report["dry_run"] else []
    lines += [
        f"{report[name]:>10,} {name}" for name in ("received", "created", "updated", "unchanged")
    ]
    lines.append(f"{report['refused_count']:>10,} refused")
    for row in report["refused"]:
        whose = f" ({row['store_id']})" if row["store_id"] else ""
        lines += [
            f"{'':>10} line {row['line']}{whose}: {fault['pointer'].lstrip('/')} {fault['detail']}"
            for fault in row["errors"]
        ]
    unseen = report["refused_count"] - len(report["refused"])
    return "\n".join([*lines, *([f"{'':>10} and {unseen:,} more"] if unseen else [])])

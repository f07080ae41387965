"""``./solomo export stores``: stores with their geofences as GeoJSON, CSV or KML."""

import argparse
import sys
from pathlib import Path
from typing import BinaryIO

import httpx

from cli.client import add_connection_arguments, bearer, geo_url, refused, unreachable
from cli.output import CommandFailed, Output

_FORMATS = ("geojson", "csv", "kml")
_ENDINGS = {**{name: name for name in _FORMATS}, "json": "geojson", "": "geojson"}
_TIMEOUT = httpx.Timeout(300.0, connect=5.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("what", choices=["stores"], help="what to write")
    add("file", type=Path, nargs="?", metavar="FILE",
        help="where to; without it, to the standard output")  # fmt: skip
    add("--format", choices=_FORMATS,
        help="of the file (default: by its ending; geojson for a name without one)")  # fmt: skip
    add_connection_arguments(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    path: Path | None = arguments.file
    wanted = arguments.format or _by_name(path)
    if path is None:
        _fetch(arguments, wanted, sys.stdout.buffer)
        return 0
    if not path.parent.is_dir():
        raise CommandFailed(f"There is no folder {path.parent}.", "Make it, or name another file.")
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            size = _fetch(arguments, wanted, file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    result = {"file": str(path), "format": wanted, "bytes": size}
    output.result(result, f"Wrote {path} ({size:,} bytes, {wanted}).")
    return 0


def _by_name(path: Path | None) -> str:
    """Raises CommandFailed for an ending that names no format."""
    ending = "" if path is None else path.suffix.lower().lstrip(".")
    if ending not in _ENDINGS:
        known = ", ".join(f".{name}" for name in _ENDINGS if name)
        raise CommandFailed(
            f"{path} ends in .{ending}, which names no format of stores; known are {known}.",
            f"Name the file so, or choose with --format: {', '.join(_FORMATS)}.",
        )
    return _ENDINGS[ending]


def _fetch(arguments: argparse.Namespace, wanted: str, file: BinaryIO) -> int:
    """Write the export as it comes; gives its length. Raises CommandFailed."""
    url = geo_url(arguments)
    size = 0
    try:
        with (
            httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False) as client,
            client.stream(
                "GET",
                "/v1/stores/export",
                params={"format": wanted},
                headers=bearer(arguments, "marketer"),
            ) as response,
        ):
            if not response.is_success:
                raise refused(response.status_code, response.read())
            for chunk in response.iter_bytes():
                size += file.write(chunk)
    except httpx.RemoteProtocolError as error:
        raise CommandFailed("The connection ended before the file did.", "Try again.") from error
    except httpx.TransportError as error:
        raise unreachable(url, error) from error
    return size

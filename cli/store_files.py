"""A file of stores made ready to send: the rows that are wanted, and which lines they were.

What a row means is the server's to judge; here rows are only left out, or given their brand.
"""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cli.output import CommandFailed
from cli.rows import DELIMITERS, as_text

_GZIP = b"\x1f\x8b"

Conditions = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class StoreFile:
    """``lines`` gives the line in the caller's file of each line sent; None: they are the same."""

    content: bytes
    media_type: str
    lines: dict[int, int] | None = None

    def line(self, sent: int) -> int:
        return sent if self.lines is None else self.lines.get(sent, sent)


def read_store_file(path: Path, where: Conditions, brand: str | None) -> StoreFile:
    """CSV, GeoJSON or KML, gzipped or not; ``brand`` is for the rows that have none.

    Raises CommandFailed for a file that cannot be read, or not be filtered.
    """
    content = _content(path)
    if _is_xml(content):
        if where or brand is not None:
            raise CommandFailed("--where and --brand are for CSV and GeoJSON, not for KML.")
        return StoreFile(content, "application/vnd.google-earth.kml+xml")
    is_json = content.lstrip()[:1] == b"{"
    media_type = "application/geo+json" if is_json else "text/csv"
    if not where and brand is None:
        return StoreFile(content, media_type)
    try:
        chosen = _features if is_json else _records
        return StoreFile(*chosen(content, where, brand))
    except (ValueError, csv.Error) as error:
        raise CommandFailed(f"{path} cannot be read: {error}.") from error


def _is_xml(content: bytes) -> bool:
    """UTF-8, or UTF-16 with or without its mark."""
    return content[:64].replace(b"\0", b"").lstrip(b"\xff\xfe \t\r\n")[:1] == b"<"


def _content(path: Path) -> bytes:
    """Unpacked, and without the mark that some programs put before UTF-8."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
        return content.removeprefix(codecs.BOM_UTF8)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise CommandFailed(f"{path} cannot be read: {why}.") from error


def _records(
    content: bytes, where: Conditions, brand: str | None
) -> tuple[bytes, str, dict[int, int]]:
    """The header and the records wanted, in the order of the file."""
    text = io.StringIO(content.decode(), newline="")
    first = text.readline()
    text.seek(0)
    reader = csv.reader(text, delimiter=max(DELIMITERS, key=first.count))
    header = next(reader, [])
    columns = {name.strip().casefold(): index for index, name in reversed([*enumerate(header)])}
    wanted = [(_column(columns, name), value) for name, value in where]
    brand_at = None if brand is None else columns.get("brand", len(header))
    if brand_at == len(header):
        header = [*header, "brand"]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    lines, sent, before = {1: 1}, 1, reader.line_num
    for record in reader:
        begins, before = before + 1, reader.line_num
        if not record or any(_field(record, at).strip() != value for at, value in wanted):
            continue
        if brand_at is not None and not _field(record, brand_at).strip():
            record[brand_at : brand_at + 1] = [brand or ""]
        sent += 1
        lines[sent] = begins
        sent += "".join(record).count("\n")
        writer.writerow(record)
    return out.getvalue().encode(), "text/csv", lines


def _features(
    content: bytes, where: Conditions, brand: str | None
) -> tuple[bytes, str, dict[int, int]]:
    """The features wanted; the server counts features as lines."""
    document = orjson.loads(content)
    features = document.get("features")
    if not isinstance(features, list):
        raise CommandFailed("The file is not a GeoJSON FeatureCollection.")
    lines: dict[int, int] = {}
    chosen: list[Any] = []
    for number, feature in enumerate(features, start=1):
        properties = feature.get("properties") or {}
        if all(as_text(properties.get(name)) == value for name, value in where):
            if brand is not None and not properties.get("brand"):
                feature["properties"] = {**properties, "brand": brand}
            chosen.append(feature)
            lines[len(chosen)] = number
    return orjson.dumps({**document, "features": chosen}), "application/geo+json", lines


def _column(columns: dict[str, int], name: str) -> int:
    if name.casefold() not in columns:
        raise CommandFailed(
            f"--where: there is no column {name}.", f"There are: {', '.join(columns)}"
        )
    return columns[name.casefold()]


def _field(record: Sequence[str], index: int) -> str:
    return record[index] if index < len(record) else ""

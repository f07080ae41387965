"""Rows of a file: CSV or one JSON object a line, gzipped or not, read as a stream."""

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import orjson

from cli.output import CommandFailed

Row = Mapping[str, Any]

_GZIP = b"\x1f\x8b"
DELIMITERS = ",;\t"


@dataclass(slots=True)
class RowFile:
    """An open file of rows, to be gone through once.

    Each row comes with the number of its line, the first being 1; a line that should be a JSON
    object and is none comes as its text. ``columns`` are the header, or the first object's keys.
    """

    raw: IO[bytes]
    text: IO[str]
    size: int
    rows: Iterator[tuple[int, Row | str]]
    columns: tuple[str, ...]
    is_csv: bool

    @property
    def position(self) -> int:
        """Bytes of the file, as it lies on the disk, that were read so far."""
        return self.raw.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.text.close()
        self.raw.close()


def open_rows(path: Path) -> RowFile:
    """Open ``path``; what it holds is told by its first bytes, not by its name.

    A CSV file has a header and is UTF-8, its columns separated by comma, semicolon or tab.
    Raises CommandFailed, on opening and on reading, naming the line that cannot be read.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from error
    packed = raw.read(2) == _GZIP
    raw.seek(0)
    plain = gzip.GzipFile(fileobj=raw) if packed else raw
    text = io.TextIOWrapper(io.BufferedReader(plain, 1 << 17), encoding="utf-8-sig", newline="")
    rows = _guarded(path, _rows(text))
    file = RowFile(raw, text, path.stat().st_size, rows, (), is_csv=False)
    try:
        return _begun(file, path)
    except CommandFailed:
        file.__exit__()
        raise


def _begun(file: RowFile, path: Path) -> RowFile:
    """The file after a look at its header, or at its first object."""
    first: Any = next(file.rows, None)
    if first is None:
        raise CommandFailed(f"{path} holds no rows.")
    if isinstance(first, list):
        return replace(file, columns=tuple(first), is_csv=True)
    return replace(file, columns=row_columns(first[1]), rows=_chain(first, file.rows))


def row_columns(row: Row | str) -> tuple[str, ...]:
    return () if isinstance(row, str) else tuple(row)


def is_where(row: Row, conditions: Sequence[tuple[str, str]]) -> bool:
    """Whether every ``column=value`` holds; values are compared as the file writes them."""
    return all(as_text(row.get(column)) == value for column, value in conditions)


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else orjson.dumps(value).decode()


def as_number(value: Any) -> Any:
    """The finite number that ``value`` writes, else ``value`` itself, for the server to refuse."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return number if math.isfinite(number) and "_" not in str(value) else str(value)


def pairs(option: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """``name=value`` arguments taken apart. Raises CommandFailed."""
    parted = [text.partition("=") for text in texts]
    for name, equals, _ in parted:
        if not equals or not name:
            raise CommandFailed(f"{option} {name}: write it as {option} name=value.")
    return [(name, value) for name, _, value in parted]


def require_columns(file: RowFile, columns: Iterable[str], option: str) -> None:
    """Raises CommandFailed when a CSV file has no such column, naming those it has."""
    missing = [column for column in columns if column not in file.columns]
    if file.is_csv and missing:
        have = ", ".join(file.columns)
        raise CommandFailed(f"{option}: there is no column {missing[0]}.", f"There are: {have}")


def _rows(text: IO[str]) -> Iterator[Any]:
    """The header as a list, then numbered rows; or numbered objects."""
    first = text.readline()
    while first and not first.strip():
        first = text.readline()
    if first.lstrip().startswith("{"):
        yield from _objects(_chain(first, text))
    elif first:
        yield from _records(first, text)


def _records(header: str, text: IO[str]) -> Iterator[Any]:
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(_chain(header, text), delimiter=delimiter)
    columns = [column.strip() for column in next(reader)]
    yield columns
    missing = [""] * len(columns)
    for record in reader:
        if record:
            filled = record if len(record) >= len(columns) else (record + missing)
            yield reader.line_num, dict(zip(columns, filled, strict=False))


def _objects(lines: Iterator[str]) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text:
            yield number, _object(text)


def _object(text: str) -> Row | str:
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return row if isinstance(row, dict) else text


def _guarded(path: Path, rows: Iterator[Any]) -> Iterator[Any]:
    read = 0
    try:
        for row in rows:
            read += 1
            yield row
    except (csv.Error, UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise CommandFailed(f"{path} cannot be read after its row {read}: {error}.") from error


def _chain(first: Any, rest: Iterable[Any]) -> Iterator[Any]:
    yield first
    yield from rest

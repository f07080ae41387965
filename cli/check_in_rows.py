"""From a row of a file to a check-in as geo_api takes it: the same row, the same bytes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from cli.output import CommandFailed
from cli.rows import Row, as_number, as_text

REPLAY_NAMESPACE = UUID("b5a4c2de-53f1-5d0b-9a43-7f0e6f6a1c55")
"""Namespace of the ids made for rows without one. Frozen: else a replay would repeat itself."""

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "checkin_id", "check_in_id"),
    "subject": ("subject", "user_id", "uid", "user", "device", "device_id"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "occurred_at": ("occurred_at", "utc_time", "timestamp", "time", "datetime"),
    "accuracy_m": ("accuracy_m", "accuracy"),
    "kind": ("kind",),
    "datum": ("datum",),
}
"""The columns in which a field is looked for, in this order, without regard to case."""

NEEDED = ("subject", "latitude", "longitude", "occurred_at")

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MILLISECONDS_FROM = 1e11
"""Larger Unix times are read as milliseconds: in seconds this is the year 5138."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a check-in gets where its row says nothing.

    ``consent_given_at`` None stands for the row's own time, so that every run says the same.
    """

    namespace: str
    issuer: str
    accuracy_m: float | None = None
    datum: str = "wgs84"
    kind: str = "background"
    consent_version: str | None = None
    consent_given_at: str | None = None


@dataclass(slots=True)
class CheckInMaker:
    """Turns rows into check-ins. ``mapping`` names columns by field; an empty name, none."""

    defaults: Defaults
    mapping: Mapping[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)

    def columns(self, names: Sequence[str]) -> dict[str, str]:
        """The column of each field, of those among ``names``."""
        key = tuple(names)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._find(key)
        return found

    def require(self, names: Sequence[str]) -> None:
        """Raises CommandFailed when a row with these columns cannot make a check-in."""
        found = self.columns(names)
        missing = [name for name in NEEDED if name not in found]
        if "accuracy_m" not in found and self.defaults.accuracy_m is None:
            raise CommandFailed("There is no accuracy.", "Give --accuracy-m METRES for all rows.")
        if missing:
            have = ", ".join(names)
            hint = f"Name it with --map {missing[0]}=COLUMN. There are: {have}"
            raise CommandFailed(f"There is no column for {missing[0]}.", hint)

    def make(self, row: Row) -> dict[str, Any]:
        """The check-in of a row. What cannot be read goes as it is, for the server to refuse."""
        columns, defaults = self.columns(tuple(row)), self.defaults
        fields = {name: row[column] for name, column in columns.items()}
        occurred_at = as_moment(fields.get("occurred_at"))
        accuracy_m = fields.get("accuracy_m")
        body = {
            "kind": fields.get("kind") or defaults.kind,
            "latitude": as_number(fields.get("latitude")),
            "longitude": as_number(fields.get("longitude")),
            "datum": fields.get("datum") or defaults.datum,
            "accuracy_m": defaults.accuracy_m if _is_empty(accuracy_m) else as_number(accuracy_m),
            "occurred_at": occurred_at,
            "subject": self._subject(fields.get("subject")),
        }
        if isinstance(row.get("signals"), dict):
            body["signals"] = row["signals"]
        consent = row.get("consent")
        if isinstance(consent, dict):
            body["consent"] = consent
        elif defaults.consent_version is not None:
            body["consent"] = self._vouch(occurred_at)
        return {"id": _id(fields, body["subject"]), **body}

    def _find(self, names: tuple[str, ...]) -> dict[str, str]:
        lowered = {name.lower(): name for name in reversed(names)}
        found = {}
        for name, usual in USUAL_NAMES.items():
            column = self.mapping.get(name)
            if column is None:
                column = next((lowered[usual_] for usual_ in usual if usual_ in lowered), None)
            if column in names:
                found[name] = str(column)
        return found

    def _subject(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        named = self.defaults
        return {
            "namespace": named.namespace, "issuer": named.issuer, "value": as_text(value)
        }  # fmt: skip

    def _vouch(self, occurred_at: Any) -> dict[str, Any]:
        return {
            "purpose": "visit_history",
            "version": self.defaults.consent_version,
            "given_at": self.defaults.consent_given_at or occurred_at,
        }


def as_moment(value: Any) -> Any:
    """RFC 3339 text of a time: as written, or from ISO 8601 (UTC where no zone is said), or Unix.

    Unix times are seconds or milliseconds since 1970. What is neither stays as it is.
    """
    text = as_text(value)
    if _RFC3339.fullmatch(text):
        return text
    try:
        moment = _from_unix(float(text))
    except (ValueError, OverflowError, OSError):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.isoformat().replace("+00:00", "Z")


def _from_unix(number: float) -> datetime:
    if not math.isfinite(number):
        raise ValueError("not a time")
    seconds = number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
    return datetime.fromtimestamp(seconds, UTC)


def _id(fields: Mapping[str, Any], subject: Any) -> str:
    """The row's own id if it is a UUID; else derived from it and the subject, or from the row.

    What options add has no part in it: with other options the same row keeps its id, so it is
    refused as changed and not recorded twice.
    """
    own = as_text(fields.get("id"))
    try:
        return str(UUID(own))
    except ValueError:
        said = {"id": own} if own else {name: as_text(value) for name, value in fields.items()}
        canonical = orjson.dumps([subject, said], option=orjson.OPT_SORT_KEYS)
        return str(uuid5(REPLAY_NAMESPACE, canonical.decode()))


def _is_empty(value: Any) -> bool:
    return value is None or value == ""

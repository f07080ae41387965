"""HTTP of the import of stores: a file in, a report out, with lines of progress if wanted."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from services.geo_api.places.domain import Outcome
from services.geo_api.places.endpoints.common import ByWriter
from services.geo_api.places.files import (
    USUAL_NAMES,
    RawRow,
    inflate,
    read_csv,
    read_geojson,
    read_kml,
)
from services.geo_api.places.import_schemas import ImportReport, RefusedRow
from services.geo_api.places.rows import DEFAULT_RADIUS_M, JudgedRows, RowDefaults, judge
from services.geo_api.places.schemas import Zone
from services.geo_api.places.service import imports
from services.geo_api.places.service.writing import Writer
from shared.datum import Datum
from shared.db import Database
from shared.errors import (
    FieldFault,
    Malformed,
    Refusal,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from shared.idempotency import IdempotencyKey, KeyReused, StoredAnswer, once
from shared.problems import documented, problem_body

router = APIRouter(prefix="/v1/stores/import", tags=["stores"])

MAX_REFUSED_SHOWN = 1_000
_REMEMBERED = timedelta(hours=24)
_NDJSON = "application/x-ndjson"
_READERS = {
    "text/csv": read_csv,
    "application/geo+json": read_geojson,
    "application/json": read_geojson,
    "application/vnd.google-earth.kml+xml": read_kml,
}
_MAPPED = re.compile(r"([a-z_]+)=(.+)")
_EXAMPLE_CSV = """id,name,lat,lon,address,tags
demo-1,Madison Square Park,40.7419,-73.9893,Madison Ave & E 23rd St,flagship;manhattan
"""
_EXAMPLE_GEOJSON = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [-73.9893, 40.7419]},
            "properties": {"id": "demo-2", "name": "Madison Square Park", "tags": ["flagship"]},
        }
    ],
}
_EXAMPLE_KML = """<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>
  <name>Madison Square Park</name>
  <ExtendedData><Data name="id"><value>demo-3</value></Data></ExtendedData>
  <Point><coordinates>-73.9893,40.7419</coordinates></Point>
</Placemark></Document></kml>
"""
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE_CSV},
            "application/geo+json": {"schema": {"type": "object"}, "example": _EXAMPLE_GEOJSON},
            "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE_GEOJSON},
            "application/vnd.google-earth.kml+xml": {
                "schema": {"type": "string"},
                "example": _EXAMPLE_KML,
            },
        },
    }
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """The query of an import. ``mapping`` gives columns to fields that have no usual name."""

    defaults: RowDefaults
    mapping: Mapping[str, str]
    dry_run: bool


def _asked(
    datum: Datum = Datum.WGS84,
    radius_m: Annotated[
        float, Query(ge=1, le=100_000, description="For rows without an outline of their own")
    ] = DEFAULT_RADIUS_M,
    timezone: Annotated[
        Zone | None,
        Query(
            description="For rows without one; without it, the time zone of the place is taken",
            examples=["America/New_York"],
        ),
    ] = None,
    dry_run: Annotated[bool, Query(description="Only say what would happen")] = False,
    mapped: Annotated[
        Sequence[str] | None,
        Query(alias="map", max_length=len(USUAL_NAMES), description="`field=column`, repeatable"),
    ] = None,
) -> _Asked:
    """Raises Malformed for a mapping that cannot be read."""
    mapping: dict[str, str] = {}
    for pair in mapped or ():
        found = _MAPPED.fullmatch(pair)
        if found is None or found[1] not in USUAL_NAMES:
            detail = f"must be field=column, the field one of {', '.join(USUAL_NAMES)}"
            raise Malformed(FieldFault("?map", detail))
        mapping[found[1]] = found[2].strip()
    return _Asked(RowDefaults(datum, radius_m, timezone), mapping, dry_run)


@dataclass(frozen=True, slots=True)
class _Import:
    """One import under way: what was judged of the file, and how to carry it out once."""

    database: Database
    keys: Table
    writer: Writer
    judged: JudgedRows
    key: str
    request: bytes
    dry_run: bool

    async def carry_out(self, progress: imports.Progress) -> StoredAnswer:
        """The report, stored under the key; a dry run stores nothing and uses up no key."""
        async with self.database.transaction() as session:
            if self.dry_run:
                return StoredAnswer(200, await self._report(session, progress), repeated=False)

            async def act() -> tuple[int, Mapping[str, Any]]:
                return 201, await self._report(session, progress)

            return await once(
                session,
                self.keys,
                scope=self.writer.by,
                endpoint="import_stores",
                key=self.key,
                request=self.request,
                ttl=_REMEMBERED,
                now=self.writer.at,
                act=act,
            )

    async def _report(self, session: AsyncSession, progress: imports.Progress) -> dict[str, Any]:
        imported = await imports.run(
            await session.connection(),
            self.writer,
            self.judged.rows,
            dry_run=self.dry_run,
            progress=progress,
        )
        refused = sorted([*self.judged.refused, *imported.refused], key=lambda row: row.line)
        report = ImportReport(
            received=self.judged.received,
            created=imported.counts[Outcome.CREATED],
            updated=imported.counts[Outcome.UPDATED],
            unchanged=imported.counts[Outcome.UNCHANGED],
            refused=[RefusedRow.of(row) for row in refused[:MAX_REFUSED_SHOWN]],
            refused_count=len(refused),
            dry_run=self.dry_run,
        )
        return report.model_dump()


@router.post(
    "",
    status_code=201,
    response_model=ImportReport,
    responses={
        200: {"model": ImportReport, "description": "A dry run, or told again"},
        **documented(Malformed, TooLarge, KeyReused),
    },
    openapi_extra=_BODY,
)
async def import_stores(
    request: Request,
    writer: ByWriter,
    asked: Annotated[_Asked, Depends(_asked)],
    key: IdempotencyKey,
) -> Response:
    """Create and change stores from a CSV, GeoJSON FeatureCollection or KML, up to 50,000 rows.

    A row without its own outline gets a circle of ``radius_m`` (none, where that is ``none``);
    its geofence has the store's id or ``geofence_id``. What the file has no column for (opening
    hours, schedules, dwell times) stays. A bad row is refused with its line and harms no other; the same file again changes
    nothing. The body may be gzipped (``Content-Encoding: gzip``). With
    ``Accept: application/x-ndjson`` lines of progress come first and the report, or a problem,
    comes last. A dry run does not use up the key.
    """
    state = request.app.state
    body = await request.body()
    work = await asyncio.to_thread(
        _judged, request.headers, body, asked, state.settings.max_batch_body_bytes
    )
    judged, digest = work
    task = _Import(state.database, state.idempotency, writer, judged, key, digest, asked.dry_run)
    if _NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(_lines(task), media_type=_NDJSON)
    answer = await task.carry_out(_silent)
    return Response(orjson.dumps(answer.body), answer.status, media_type="application/json")


def _judged(
    headers: Mapping[str, str], body: bytes, asked: _Asked, most: int
) -> tuple[JudgedRows, bytes]:
    """The rows of the body, and what tells this request from another under the same key."""
    raw = _raw_rows(headers, body, asked.mapping, most)
    digest = hashlib.sha256(body).digest() + repr(asked).encode()
    return judge(raw, asked.defaults), digest


def _raw_rows(
    headers: Mapping[str, str], body: bytes, mapping: Mapping[str, str], most: int
) -> list[RawRow]:
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise Malformed(FieldFault("header:Content-Encoding", "must be gzip, or left out"))
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _READERS:
        known = ", ".join(_READERS)
        raise UnsupportedMediaType(f"Content-Type must be one of {known}.")
    data = inflate(body, most) if encoding == "gzip" else body
    return _READERS[kind](data, mapping)


async def _silent(_done: int) -> None:
    """Nobody asked how far it is."""


async def _lines(task: _Import) -> AsyncIterator[bytes]:
    """Progress as it comes, then the report. If the caller hangs up, nothing is changed."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    total = len(task.judged.rows)

    async def progress(done: int) -> None:
        await queue.put(_line({"progress": {"done": done, "of": total}}))

    async def finish() -> None:
        try:
            await queue.put(await _last_line(task, progress))
        finally:
            await queue.put(None)

    running = asyncio.create_task(finish())
    try:
        while (line := await queue.get()) is not None:
            yield line
        await running
    finally:
        running.cancel()


async def _last_line(task: _Import, progress: imports.Progress) -> bytes:
    try:
        return _line((await task.carry_out(progress)).body)
    except Refusal as refusal:
        return _line({"problem": problem_body(refusal)})
    except (DBAPIError, OSError):
        away = Unavailable("The database is busy or away; send the same request again.")
        return _line({"problem": problem_body(away)})


def _line(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"

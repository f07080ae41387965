"""Wire shapes of the report of an import."""

from pydantic import BaseModel

from services.geo_api.places.domain import RowRefused


class RowFault(BaseModel):
    pointer: str
    detail: str


class RefusedRow(BaseModel):
    """``line`` counts from 1: lines of a CSV with its header, features of a GeoJSON collection."""

    line: int
    store_id: str | None
    errors: list[RowFault]

    @classmethod
    def of(cls, row: RowRefused) -> "RefusedRow":
        faults = [RowFault(pointer=f.pointer, detail=f.detail) for f in row.faults]
        return cls(line=row.line, store_id=row.store_id, errors=faults)


class ImportReport(BaseModel):
    """``refused`` shows the first 1,000 refused rows, ``refused_count`` counts all."""

    received: int
    created: int
    updated: int
    unchanged: int
    refused: list[RefusedRow]
    refused_count: int
    dry_run: bool

"""What stands in cursors: decoded parts are JSON, and come from strangers."""

from uuid import UUID

from shared.errors import FieldFault, Malformed
from shared.pagination import decode_cursor


def uuids_of(cursor: str | None, parts: int) -> list[UUID] | None:
    """Raises Malformed."""
    if cursor is None:
        return None
    try:
        return [UUID(str(part)) for part in decode_cursor(cursor, parts=parts)]
    except ValueError:
        raise _bad() from None


def _bad() -> Malformed:
    detail = "is not a cursor of this list: send next_cursor as it was given"
    return Malformed(FieldFault("?cursor", detail))

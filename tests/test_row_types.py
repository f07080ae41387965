"""The types in which groups of rows are written are those that the repositories write."""

from typing import Any

import asyncpg
import pytest

from services.geo_api.checkins.repository import NewCheckIn, NewReceipt
from services.geo_api.presence.domain import Visit
from services.geo_api.subjects.domain import LastSeen
from services.geo_api.subjects.repository import Seen
from services.member_api.timeline.writing import NewItem
from tests.conftest import DatabaseUrls

pytestmark = pytest.mark.slow

_SEEN = [name for name in Seen._fields if name != "last"]
_SEEN[-1:-1] = LastSeen._fields

_FIELDS = """
    SELECT a.attname FROM pg_attribute AS a JOIN pg_type AS t ON t.typrelid = a.attrelid
    WHERE t.oid = $1::text::regtype ORDER BY a.attnum
"""


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("geo.new_check_in", NewCheckIn._fields),
        ("geo.new_receipt", NewReceipt._fields),
        ("geo.new_visit", Visit._fields),
        ("geo.seen_subject", _SEEN),
        ("member.new_item", NewItem._fields),
    ],
)
async def test_a_row_has_the_fields_of_its_type_in_their_order(
    kind: str, fields: list[str], database_urls: DatabaseUrls
) -> None:
    url = database_urls.superuser.replace("+asyncpg", "")
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        found = await connection.fetch(_FIELDS, kind)
    finally:
        await connection.close()
    assert [row["attname"] for row in found] == [*fields]

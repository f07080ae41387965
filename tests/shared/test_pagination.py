import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.pagination import decode_cursor, encode_cursor, last_id, moment_and_uuid

parts = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
))  # fmt: skip


@given(st.lists(parts, max_size=5))
def test_a_cursor_gives_back_what_it_was_made_of(values: list[str | int | None]) -> None:
    cursor = encode_cursor(*values)

    assert decode_cursor(cursor, parts=len(values)) == values
    assert cursor.isascii()
    assert "=" not in cursor


def test_times_and_ids_come_back_as_text() -> None:
    moment = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    identity = UUID(int=7)

    assert decode_cursor(encode_cursor(moment, identity)) == [
        "2026-11-23T17:00:00+00:00",
        str(identity),
    ]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "\u00e9",
        "a b",
        "AAAA",
        base64.urlsafe_b64encode(b'{"a":1}').decode(),
        base64.urlsafe_b64encode(b'["a\\u0000"]').decode(),
        base64.urlsafe_b64encode(b"[1,2]").decode(),
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused(cursor: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_cursor(cursor, parts=1)

    assert caught.value.faults[0].pointer == "?cursor"


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_moment_that_no_item_has_is_refused(moment: str) -> None:
    with pytest.raises(Malformed):
        moment_and_uuid(encode_cursor(moment, UUID(int=7)))


@given(st.text(max_size=60))
def test_any_other_text_is_refused_or_read_but_never_breaks(cursor: str) -> None:
    try:
        decode_cursor(cursor)
    except Malformed:
        return


def test_a_list_by_time_goes_on_where_its_page_ended() -> None:
    moment, identity = datetime(2026, 11, 23, 17, 0, 0, 7, tzinfo=UTC), UUID(int=7)

    assert moment_and_uuid(encode_cursor(moment, identity)) == (moment, identity)
    assert moment_and_uuid(None) is None


def test_a_list_by_id_goes_on_where_its_page_ended() -> None:
    assert last_id(encode_cursor("store-7")) == "store-7"
    assert last_id(None) < "-"


@pytest.mark.parametrize(
    "cursor",
    [
        encode_cursor("2026-11-23T17:00:00", UUID(int=7)),
        encode_cursor(17, UUID(int=7)),
        encode_cursor("2026-11-23T17:00:00+00:00", 7),
        encode_cursor(7),
    ],
)
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    for read in (moment_and_uuid, last_id):
        with pytest.raises(Malformed):
            read(cursor)

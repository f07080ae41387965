"""Moments: what is refused is told by its own words, also at the ends of the calendar."""

from datetime import datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.wire import Moment

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("1999-12-31T23:30:00-01:00", "2000-01-01T00:30:00+00:00"),
        ("2100-01-01T00:30:00+01:00", "2099-12-31T23:30:00+00:00"),
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00+00:00"),
    ],
)
def test_a_moment_is_in_range_by_its_utc(text: str, utc: str) -> None:
    assert MOMENT.validate_python(text).isoformat() == utc


@pytest.mark.parametrize(
    "text",
    [
        "2000-01-01T00:30:00+01:00",
        "2099-12-31T23:30:00-01:00",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59-23:00",
    ],
)
def test_a_moment_out_of_range_is_refused_even_where_it_has_no_utc(text: str) -> None:
    with pytest.raises(ValidationError, match="must lie between 2000-01-01 and 2100-01-01"):
        MOMENT.validate_python(text)

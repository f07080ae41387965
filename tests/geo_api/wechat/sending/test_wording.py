"""What a message says fits what WeChat takes, whatever the coupon is called."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.wechat.sending.wording import (
    MAX_TEXT_BYTES,
    CouponWords,
    custom_text,
    template_values,
)
from wechat_sandbox.api_of_messages import _FORMS

UNTIL = datetime(2026, 11, 24, 13, 5, tzinfo=UTC)


def words(**changes: Any) -> CouponWords:
    fields: dict[str, Any] = {
        "title": "5 off",
        "store": "Harbour Café",
        "valid_until": UNTIL,
        "code": "K7QF-2M9A",
        "zone": ZoneInfo("Asia/Shanghai"),
    }
    return CouponWords(**fields | changes)


def test_each_placeholder_is_filled_and_moments_are_the_accounts() -> None:
    wording = {"thing1": "{title}", "thing2": "at {store}", "time3": "{valid_until}"}
    assert template_values(wording, words()) == {
        "thing1": "5 off",
        "thing2": "at Harbour Café",
        "time3": "2026年11月24日 21:05",
    }
    text = custom_text("{title}: {code}, until {valid_until}", words())
    assert text == "5 off: K7QF-2M9A, until 2026-11-24 21:05"


@pytest.mark.parametrize(
    ("key", "title", "told"),
    [
        ("thing1", "exactly twenty chars", "exactly twenty chars"),
        ("thing1", "twenty-one characters", "twenty-one characte…"),
        ("thing1", "two\nlines\tand a tab", "two lines and a tab"),
        (
            "thing1",
            "会员专享:全场饮品第二杯半价优惠券限时领取",
            "会员专享:全场饮品第二杯半价优惠券限时…",
        ),
        ("thing1", "🎁" * 11, "🎁" * 9 + "…"),
        ("character_string2", "A" * 40, "A" * 32),
        ("phrase3", "新人专享优惠", "新人专享优"),
        ("name4", "上海人民广场旗舰店一号楼", "上海人民广场旗舰店…"),
        ("number5", "12", "12"),
    ],
)
def test_a_value_is_cut_to_what_its_kind_takes(key: str, title: str, told: str) -> None:
    assert template_values({key: "{title}"}, words(title=title)) == {key: told}


@given(title=st.text(min_size=1, max_size=60), store=st.text(min_size=1, max_size=60))
def test_the_stand_in_takes_any_thing_that_says_something(title: str, store: str) -> None:
    (value,) = template_values(
        {"thing1": "· {title}{store}"}, words(title=title, store=store)
    ).values()
    assert _FORMS["thing"].fullmatch(value)


@given(title=st.text(max_size=3000))
def test_a_text_is_cut_between_characters(title: str) -> None:
    text = custom_text("· {title}", words(title=title))
    assert len(text.encode()) <= MAX_TEXT_BYTES
    assert f"· {title}".startswith(text) or text == f"· {title}".strip()


def test_what_a_coupon_is_called_is_never_taken_for_a_placeholder() -> None:
    assert custom_text("{title}", words(title="{code}")) == "{code}"

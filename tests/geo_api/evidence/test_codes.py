"""Codes without a database: what they hold, how long they count, and what is no code."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.evidence.codes import (
    MAX_CODE,
    CodeForm,
    StoreCode,
    code_key,
    name_of,
    period_of,
    read_code,
    read_member_code,
    start_of,
    write_code,
    write_member_code,
)
from services.geo_api.evidence.domain import CodeExpired, CodeRevoked
from shared.sealing import StorageKey

KEY = code_key(StorageKey(b"k" * 32))
NOW = datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)
STORES = {name_of(store_id): store_id for store_id in ("s1", "s2")}

codes = st.builds(
    StoreCode, st.sampled_from(CodeForm), st.sampled_from(["s1", "s2"]), st.integers(0, 2**32 - 1)
)


def screen(period: int) -> StoreCode:
    return StoreCode(CodeForm.SCREEN, "s1", period)


@given(code=codes)
def test_a_code_is_read_as_it_was_written(code: StoreCode) -> None:
    text = write_code(KEY, code)
    assert len(text) == 40
    assert read_code(KEY, text.lower(), STORES.get) == code


@given(code=codes, position=st.integers(0, 39), symbol=st.sampled_from("ABCDEFGH234567"))
def test_a_changed_symbol_makes_it_no_code(code: StoreCode, position: int, symbol: str) -> None:
    text = write_code(KEY, code)
    forged = text[:position] + symbol + text[position + 1 :]
    assert forged == text or read_code(KEY, forged, STORES.get) is None


@given(text=st.text(max_size=MAX_CODE))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert read_code(KEY, text, STORES.get) is None
    assert read_member_code(KEY, text) is None


def test_a_code_of_another_installation_or_of_a_closed_store_is_unknown() -> None:
    text = write_code(KEY, screen(7))
    assert read_code(code_key(StorageKey(b"o" * 32)), text, STORES.get) is None
    assert read_code(KEY, text, lambda _: None) is None


def test_a_store_of_the_longest_id_has_a_code_as_short() -> None:
    code = StoreCode(CodeForm.PRINTED, "x" * 64, 1)
    text = write_code(KEY, code)
    assert len(text) == 40
    assert read_code(KEY, text, {name_of("x" * 64): "x" * 64}.get) == code


@pytest.mark.parametrize(
    ("later_s", "counts"), [(0, True), (19.9, True), (49.9, True), (50, False), (3600, False)]
)
def test_a_screen_counts_until_one_period_after_it_was_shown(later_s: float, counts: bool) -> None:
    received_at = NOW + timedelta(seconds=later_s)
    fault = screen(period_of(NOW)).fault(received_at, received_at, 1)
    assert (fault is None) is counts
    assert fault is None or isinstance(fault, CodeExpired)


def test_a_code_of_now_proves_nothing_of_an_hour_ago() -> None:
    code = screen(period_of(NOW))
    assert isinstance(code.fault(NOW - timedelta(hours=1), NOW, 1), CodeExpired)
    assert code.fault(NOW - timedelta(minutes=4), NOW, 1) is None


def test_a_code_of_the_future_is_refused() -> None:
    assert isinstance(screen(period_of(NOW) + 1).fault(NOW, NOW, 1), CodeExpired)


def test_only_the_edition_in_force_of_a_printed_code_counts() -> None:
    code = StoreCode(CodeForm.PRINTED, "s1", 2)
    assert code.fault(NOW - timedelta(days=30), NOW, 2) is None
    for edition in (1, 3):
        assert isinstance(code.fault(NOW, NOW, edition), CodeRevoked)


@given(subject=st.uuids(), period=st.integers(0, 2**32 - 1))
def test_a_members_code_names_the_member(subject: UUID, period: int) -> None:
    text = write_member_code(KEY, subject, period)
    assert len(text) <= MAX_CODE
    assert read_member_code(KEY, text) == (subject, period)


def test_a_members_code_is_no_stores_code_and_the_other_way_round() -> None:
    assert read_code(KEY, write_member_code(KEY, uuid4(), 7), STORES.get) is None
    assert read_member_code(KEY, write_code(KEY, screen(7))) is None


def test_a_period_is_thirty_seconds() -> None:
    period = period_of(NOW)
    assert start_of(period) == NOW.replace(second=0)
    assert period_of(start_of(period + 1)) == period + 1

"""Rows of files, and the check-ins made of them."""

import gzip
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cli.check_in_rows import CheckInMaker, Defaults, as_moment
from cli.output import CommandFailed
from cli.rows import is_where, open_rows, pairs

FSQ = Defaults("app_user", "fsq", accuracy_m=0.0)
ROW = {"user_id": "470", "lat": "40.71", "lon": "-74.0", "utc_time": "2012-04-03T18:00:09Z"}


def read(path: Path) -> list[tuple[int, Any]]:
    with open_rows(path) as file:
        return list(file.rows)


def test_csv_and_ndjson_and_their_gzip_give_the_same_rows(tmp_path: Path) -> None:
    texts = {
        "csv": "uid,note\n1,ä\n2,\n",
        "ndjson": '{"uid":"1","note":"ä"}\n{"uid":"2","note":""}\n',
    }
    for name, text in texts.items():
        plain, packed = tmp_path / name, tmp_path / f"{name}.gz"
        plain.write_text(text)
        packed.write_bytes(gzip.compress(text.encode()))
        expected = [{"uid": "1", "note": "ä"}, {"uid": "2", "note": ""}]
        assert [row for _, row in read(plain)] == [row for _, row in read(packed)] == expected


def test_rows_are_numbered_by_their_line_and_short_ones_are_filled(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('\ufeffa;b\n\n1\n"x\ny";2\n')
    assert read(path) == [(3, {"a": "1", "b": ""}), (5, {"a": "x\ny", "b": "2"})]


def test_a_line_that_is_no_json_object_is_passed_on_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_text('{"a": 1}\n{"a": \n[1]\n{"a": 2}\n')
    assert read(path) == [(1, {"a": 1}), (2, '{"a":'), (3, "[1]"), (4, {"a": 2})]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x1f\x8bnot gzip", b"a,b\n\xff\n"])
def test_a_file_that_cannot_be_read_ends_the_command_with_its_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(CommandFailed, match="rows"):
        read(path)


def test_a_cut_off_gzip_is_told_after_its_last_whole_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:-300])
    with pytest.raises(CommandFailed, match=r"after its row \d+"):
        read(path)


def test_columns_are_found_by_their_usual_names() -> None:
    made = CheckInMaker(FSQ).make(ROW)
    assert made == {
        "id": made["id"],
        "kind": "background",
        "latitude": 40.71,
        "longitude": -74.0,
        "datum": "wgs84",
        "accuracy_m": 0.0,
        "occurred_at": "2012-04-03T18:00:09Z",
        "subject": {"namespace": "app_user", "issuer": "fsq", "value": "470"},
    }


def test_a_row_says_more_than_the_options() -> None:
    row = ROW | {"accuracy": "12.5", "kind": "manual", "Datum": "gcj02"}
    made = CheckInMaker(FSQ).make(row)
    assert (made["accuracy_m"], made["kind"], made["datum"]) == (12.5, "manual", "gcj02")


def test_a_mapping_names_another_column_or_none() -> None:
    maker = CheckInMaker(FSQ, {"subject": "venue", "kind": ""})
    made = maker.make(ROW | {"venue": "v1", "kind": "shop"})
    assert made["subject"]["value"] == "v1"
    assert made["kind"] == "background"


def test_an_id_is_kept_if_it_is_a_uuid_and_else_derived_from_it() -> None:
    maker = CheckInMaker(FSQ)
    given = "0198F1C2-7A30-7B54-9C1D-2F6A52D0C001"
    assert maker.make(ROW | {"id": given})["id"] == given.lower()
    derived = maker.make(ROW | {"checkin_id": "7"})
    assert UUID(derived["id"]).version == 5
    assert derived["id"] == maker.make(ROW | {"checkin_id": "7", "lat": "1"})["id"]
    others = [ROW | {"checkin_id": "8"}, ROW | {"checkin_id": "7", "user_id": "9"}]
    assert len({derived["id"], *(maker.make(row)["id"] for row in others)}) == 3


def test_a_missing_id_is_derived_from_the_content_and_never_changes() -> None:
    """The vector is frozen: another id would make every replay repeat itself."""
    maker = CheckInMaker(FSQ)
    assert maker.make(ROW)["id"] == "58eccba8-e75e-5959-b8e2-c846e816e915"
    assert maker.make(ROW)["id"] == CheckInMaker(FSQ).make(dict(reversed(ROW.items())))["id"]
    assert maker.make(ROW | {"lat": "40.72"})["id"] != maker.make(ROW)["id"]
    options = Defaults("app_user", "fsq", 5.0, consent_version="v1")
    assert CheckInMaker(options).make(ROW)["id"] == maker.make(ROW)["id"]


def test_a_vouch_is_given_at_the_time_of_the_row_unless_told_otherwise() -> None:
    vouched = CheckInMaker(Defaults("app_user", "fsq", 0.0, consent_version="v1")).make(ROW)
    assert vouched["consent"] == {
        "purpose": "visit_history", "version": "v1", "given_at": ROW["utc_time"]
    }  # fmt: skip
    told = Defaults("app_user", "fsq", 0.0, consent_version="v1", consent_given_at="2012-01-01")
    assert CheckInMaker(told).make(ROW)["consent"]["given_at"] == "2012-01-01"


def test_subject_signals_and_consent_of_a_json_row_go_as_they_are() -> None:
    said = {
        "subject": {"namespace": "phone", "value": "+8613800138000"},
        "signals": {"mocked": True},
        "consent": {"purpose": "visit_history", "version": "x", "given_at": "2020-01-01T00:00:00Z"},
    }
    row = {"latitude": 1, "longitude": 2, "occurred_at": "2020-01-02T00:00:00Z", **said}
    made = CheckInMaker(FSQ).make(row)
    assert {name: made[name] for name in said} == said


def test_what_cannot_be_read_is_left_for_the_server_to_refuse() -> None:
    row = ROW | {"lat": "north", "lon": "NaN", "utc_time": "yesterday"}
    made = CheckInMaker(FSQ).make(row)
    assert (made["latitude"], made["longitude"], made["occurred_at"]) == (
        "north", "NaN", "yesterday"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2012-04-03T18:00:09Z", "2012-04-03T18:00:09Z"),
        ("2012-04-03T18:00:09.5+08:00", "2012-04-03T18:00:09.5+08:00"),
        ("2012-04-03 18:00:09", "2012-04-03T18:00:09Z"),
        ("1333476009", "2012-04-03T18:00:09Z"),
        (1333476009000, "2012-04-03T18:00:09Z"),
        ("inf", "inf"),
        ("", ""),
    ],
)
def test_times_are_read_as_rfc_3339_iso_8601_or_unix(written: Any, meant: str) -> None:
    assert as_moment(written) == meant


def test_a_file_without_what_a_check_in_needs_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(CommandFailed, match="no column for latitude"):
        CheckInMaker(FSQ).require(["uid", "lon", "time"])
    with pytest.raises(CommandFailed, match="no accuracy"):
        CheckInMaker(Defaults("app_user", "fsq")).require(list(ROW))


def test_conditions_hold_for_texts_and_for_json_values() -> None:
    assert is_where({"a": "s", "n": 1, "t": True}, [("a", "s"), ("n", "1"), ("t", "true")])
    assert is_where({"a": "s"}, [("b", "")])
    assert not is_where({"a": "s"}, [("a", "m")])
    assert pairs("--where", ["a=b=c"]) == [("a", "b=c")]
    with pytest.raises(CommandFailed, match="--where a"):
        pairs("--where", ["a"])

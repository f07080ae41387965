"""``./solomo replay`` against geo_api itself."""

from pathlib import Path

import httpx
import pytest

from tests.cli.data.conftest import Run
from tests.conftest import Tokens

STORE = {"name": "S", "latitude": 40.7, "longitude": -74.0, "timezone": "America/New_York"}
FENCE = {
    "store_id": "s1",
    "geometry": {"type": "Circle", "coordinates": [-74.0, 40.7], "radius_m": 100},
}
ROWS = """checkin_id,user_id,lat,lon,utc_time,precision
1,7,40.7,-74.0,2012-04-03T18:00:09Z,s
2,7,40.8,-74.0,2012-04-03T18:10:09Z,s
3,8,40.7,-74.0,2012-04-03T18:00:09Z,s
4,8,40.7,-74.0,2012-04-03T18:05:00Z,min
5,9,north,-74.0,2012-04-03T18:05:00Z,s
6,9,40.7,-74.0,2099-04-03T18:05:00Z,s
"""
OPTIONS = ("--issuer", "fsq", "--accuracy-m", "0", "--where", "precision=s")


@pytest.fixture
async def store(geo: httpx.AsyncClient, tokens: Tokens) -> None:
    headers = tokens("marketer")
    assert (await geo.put("/v1/stores/s1", json=STORE, headers=headers)).status_code == 201
    assert (await geo.put("/v1/geofences/f1", json=FENCE, headers=headers)).status_code == 201


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


async def test_a_file_is_replayed_and_a_second_time_changes_nothing(
    store: None, geo_url: str, solomo: Run, file: Path
) -> None:
    words = ("--json", "replay", file, *OPTIONS, "--consent", "v1", "--geo-url", geo_url)
    first = (await solomo(*words)).document
    assert {name: first[name] for name in ("sent", "new", "repeats", "matches", "visits")} == {
        "sent": 5, "new": 3, "repeats": 0, "matches": 2, "visits": 2
    }  # fmt: skip
    assert first["refused"] == {"malformed /latitude": 1, "malformed /occurred_at": 1}
    assert first["refused_examples"]["malformed /latitude"][0]["line"] == 6
    second = (await solomo(*words)).document
    same = ("matches", "visits", "coupons", "refused")
    assert (second["new"], second["repeats"]) == (0, 3)
    assert [second[name] for name in same] == [first[name] for name in same]


async def test_without_consent_nothing_is_recorded_and_it_says_so(
    store: None, geo_url: str, solomo: Run, file: Path
) -> None:
    ran = await solomo("replay", file, *OPTIONS, "--geo-url", geo_url)
    assert ran.code == 0
    assert "3 not recorded: no_consent" in ran.out
    assert "--consent VERSION" in ran.err


async def test_the_same_rows_with_other_options_are_refused_and_not_recorded_twice(
    store: None, geo_url: str, solomo: Run, file: Path
) -> None:
    await solomo("replay", file, *OPTIONS, "--consent", "v1", "--geo-url", geo_url)
    ran = await solomo("replay", file, *OPTIONS, "--consent", "v2", "--geo-url", geo_url)
    assert "3 refused: key_reused" in ran.out
    assert ran.code == 1


async def test_a_json_line_that_cannot_be_read_harms_no_other(
    store: None, geo_url: str, solomo: Run, tmp_path: Path
) -> None:
    path = tmp_path / "rows.ndjson"
    good = '{"uid":"1","lat":40.7,"lon":-74,"time":1333476009}'
    path.write_text(f"{good}\n{{broken\n{good.replace('1', '2', 1)}\n")
    words = ("replay", path, "--issuer", "x", "--accuracy-m", "5", "--consent", "v1")
    ran = await solomo("--json", *words, "--geo-url", geo_url)
    assert ran.document["new"] == 2
    assert sum(ran.document["refused"].values()) == 1


async def test_what_cannot_work_is_told_before_anything_is_sent(solomo: Run, file: Path) -> None:
    no_issuer = await solomo("replay", file, "--accuracy-m", "0")
    assert "needs an issuer" in no_issuer.err
    no_column = await solomo("replay", file, *OPTIONS, "--where", "nope=1")
    assert "there is no column nope" in no_column.err
    no_field = await solomo("replay", file, *OPTIONS, "--map", "colour=lat")
    assert "there is no field colour" in no_field.err
    no_file = await solomo("replay", file.with_name("none"), *OPTIONS)
    assert "cannot be read" in no_file.err


async def test_without_keys_and_without_a_token_it_says_what_to_do(
    solomo: Run, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path / "empty"))
    ran = await solomo("replay", file, *OPTIONS)
    assert ran.code == 1
    assert "There are no keys" in ran.err
    assert "SOLOMO_TOKEN" in ran.err


async def test_a_token_that_is_none_is_told_with_the_way_out(
    geo_url: str, solomo: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLOMO_TOKEN", "none")
    ran = await solomo("replay", file, *OPTIONS, "--geo-url", geo_url)
    assert ran.code == 1
    assert "(401)" in ran.err
    assert "./solomo token --help" in ran.err

"""``./solomo import stores`` against geo_api itself."""

import gzip
from pathlib import Path

import httpx
import orjson
import pytest

from tests.cli.data.conftest import Run
from tests.conftest import Tokens

CSV = """store_id,brand_key,brand,name,lat,lon
s1,a,Brand A,One,40.70,-74.00
s2,b,Brand B,Two,40.71,-74.00
s3,a,,,40.72,-74.00
"s 4",a,Brand A,"Four
and a half",40.73,-74.00
s5,a,Brand A,Five,north,-74.00
"""
ZONE = ("--timezone", "America/New_York")


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "stores.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode()))
    return path


async def test_only_the_rows_wanted_are_stored_and_refused_ones_keep_their_line(
    geo_url: str, geo: httpx.AsyncClient, tokens: Tokens, solomo: Run, csv_file: Path
) -> None:
    words = ("--where", "brand_key=a", "--brand", "Fallback", "--radius-m", "100", *ZONE)
    ran = await solomo("--json", "import", "stores", csv_file, *words, "--geo-url", geo_url)
    report = ran.document
    assert ran.code == 0, ran.err
    assert (report["received"], report["created"], report["refused_count"]) == (4, 2, 2)
    assert [(row["line"], row["store_id"]) for row in report["refused"]] == [(5, "s 4"), (7, "s5")]
    answer = await geo.get("/v1/stores", headers=tokens("marketer"))
    stores = answer.json()["items"]
    assert [(s["store_id"], s["name"], s["brand"]) for s in stores] == [
        ("s1", "One", "Brand A"),
        ("s3", "Fallback", "Fallback"),
    ]


async def test_a_second_import_changes_nothing_and_a_dry_run_stores_nothing(
    geo_url: str, solomo: Run, csv_file: Path
) -> None:
    words = ("import", "stores", csv_file, *ZONE, "--geo-url", geo_url)
    dry = (await solomo("--json", *words, "--dry-run")).document
    first = (await solomo("--json", *words)).document
    again = await solomo(*words)
    assert (dry["created"], dry["dry_run"]) == (first["created"], True) == (2, True)
    assert "0 created" in again.out
    assert "2 unchanged" in again.out
    assert "line 5 (s 4): id must be 1 to 64" in again.out


async def test_a_geojson_file_is_filtered_by_its_properties(
    geo_url: str, solomo: Run, tmp_path: Path
) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"id": f"g{n}", "name": f"G {n}", "shop": shop},
            "geometry": {"type": "Point", "coordinates": [-74.0, 40.0 + n / 100]},
        }
        for n, shop in enumerate(["mall", "bakery", "mall"])
    ]
    path = tmp_path / "stores.geojson"
    path.write_bytes(orjson.dumps({"type": "FeatureCollection", "features": features}))
    words = ("import", "stores", path, "--where", "shop=mall", *ZONE, "--geo-url", geo_url)
    assert (await solomo("--json", *words)).document["created"] == 2


async def test_a_file_that_the_server_cannot_read_is_told_in_its_words(
    geo_url: str, solomo: Run, tmp_path: Path
) -> None:
    path = tmp_path / "stores.csv"
    path.write_text("place,lat,lon\nx,1,2\n")
    ran = await solomo("import", "stores", path, *ZONE, "--geo-url", geo_url)
    assert ran.code == 1
    assert "no column for id" in ran.err
    mapped = await solomo("import", "stores", path, *ZONE, "--map", "id=place", "--map", "name=place",
                          "--geo-url", geo_url)  # fmt: skip
    assert "1 created" in mapped.out


async def test_an_unknown_column_and_a_missing_service_are_named(
    solomo: Run, csv_file: Path
) -> None:
    unknown = await solomo("import", "stores", csv_file, "--where", "nope=1")
    assert "there is no column nope" in unknown.err
    away = await solomo("import", "stores", csv_file, "--geo-url", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 does not answer" in away.err

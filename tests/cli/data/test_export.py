"""``./solomo export stores``, and what comes out imported again."""

from pathlib import Path

import httpx
import pytest

from tests.cli.data.conftest import Run
from tests.conftest import Tokens
from tests.geo_api.places.factories import circle, store


@pytest.mark.parametrize("wanted", ["geojson", "csv", "kml"])
async def test_an_export_is_imported_again_and_changes_nothing(
    geo_url: str, geo: httpx.AsyncClient, tokens: Tokens, solomo: Run, tmp_path: Path, wanted: str
) -> None:
    headers = tokens("server")
    await geo.put("/v1/stores/s1", json=store(), headers=headers)
    await geo.put("/v1/geofences/s1", json=circle(dwell_s=[60]), headers=headers)
    path = tmp_path / f"stores.{wanted}"

    told = await solomo("--json", "export", "stores", path, "--geo-url", geo_url)
    shown = await solomo("export", "stores", "--format", wanted, "--geo-url", geo_url)
    again = await solomo("--json", "import", "stores", path, "--geo-url", geo_url)

    assert told.code == 0, told.err
    assert told.document["format"] == wanted
    assert told.document["bytes"] == path.stat().st_size
    assert shown.out == path.read_text()
    assert (again.document["received"], again.document["unchanged"]) == (1, 1)
    assert not path.with_name(f"{path.name}.part").exists()


async def test_a_service_that_is_down_leaves_the_file_that_was_there(
    solomo: Run, tmp_path: Path
) -> None:
    path = tmp_path / "stores.csv"
    path.write_text("before")

    ran = await solomo("export", "stores", path, "--geo-url", "http://127.0.0.1:9")

    assert ran.code == 1
    assert "does not answer" in ran.err
    assert path.read_text() == "before"


async def test_a_kml_file_cannot_be_filtered_by_column(solomo: Run, tmp_path: Path) -> None:
    path = tmp_path / "stores.kml"
    path.write_text("<kml/>")

    ran = await solomo("import", "stores", path, "--brand", "Tea", "--geo-url", "http://x")

    assert ran.code == 1
    assert "not for KML" in ran.err


@pytest.mark.parametrize("wanted", ["geojson", "csv", "kml"])
@pytest.mark.parametrize("where", [[], ["--where", "name=Store 1"]])
async def test_a_file_with_a_byte_order_mark_is_imported_as_without(
    geo_url: str, geo: httpx.AsyncClient, tokens: Tokens, solomo: Run, tmp_path: Path,
    wanted: str, where: list[str],
) -> None:  # fmt: skip
    headers = tokens("server")
    await geo.put("/v1/stores/s1", json=store(name="Store 1"), headers=headers)
    await geo.put("/v1/geofences/s1", json=circle(), headers=headers)
    answer = await geo.get("/v1/stores/export", params={"format": wanted}, headers=headers)
    marked = b"\xef\xbb\xbf" + answer.content
    path = tmp_path / "stores"
    path.write_bytes(marked)

    kind = {"Content-Type": answer.headers["content-type"], "Idempotency-Key": "marked"}
    sent = await geo.post("/v1/stores/import", content=marked, headers=headers | kind)
    by_file = [] if wanted == "kml" else where
    ran = await solomo("--json", "import", "stores", path, *by_file, "--geo-url", geo_url)

    assert sent.json()["unchanged"] == 1, sent.text
    assert ran.document["unchanged"] == 1, ran.out


@pytest.mark.parametrize("ending", ["xyz", "gz"])
async def test_an_ending_that_names_no_format_is_refused_with_those_that_do(
    solomo: Run, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"stores.{ending}"

    ran = await solomo("export", "stores", path, "--geo-url", "http://127.0.0.1:9")

    assert ran.code == 1
    assert f"ends in .{ending}" in ran.err
    assert ".geojson, .csv, .kml, .json" in ran.err
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "asked", "wanted"),
    [
        ("stores.JSON", [], "geojson"),
        ("stores", [], "geojson"),
        ("stores.xyz", ["--format", "csv"], "csv"),
    ],
)
async def test_the_format_is_told_by_the_ending_or_by_the_option(
    geo_url: str, solomo: Run, tmp_path: Path, name: str, asked: list[str], wanted: str
) -> None:
    ran = await solomo("--json", "export", "stores", tmp_path / name, *asked, "--geo-url", geo_url)

    assert ran.document["format"] == wanted

"""``./solomo wechat codes``: a picture for each store, made once."""

import csv
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.data.conftest import Ran, Run
from tests.geo_api.wechat.conftest import rehearsal, switchboard
from tests.geo_api.wechat.stand_in import MINI, SERVICE, Rehearsal

pytestmark = pytest.mark.slow

__all__ = ["rehearsal", "switchboard"]

STORE = {"name": "Store", "latitude": 40.7, "longitude": -73.9, "timezone": "America/New_York"}


class Codes:
    def __init__(self, solomo: Run, geo_url: str, out: Path, rehearsal: Rehearsal) -> None:
        self._solomo, self._geo_url = solomo, geo_url
        self.out, self.rehearsal = out, rehearsal

    async def __call__(self, account: str, *words: object) -> Ran:
        more = ("--out", self.out, "--per-minute", 5_000, "--geo-url", self._geo_url)
        return await self._solomo("wechat", "codes", account, *words, *more)

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir())

    @property
    def listed(self) -> list[dict[str, str]]:
        with (self.out / "codes.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    async def scenes(self, account: str) -> list[dict[str, Any]]:
        answer: httpx.Response = await self.rehearsal.geo.get(
            f"/v1/wechat/{account}/scenes", headers=self.rehearsal.server
        )
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@pytest.fixture
async def codes(rehearsal: Rehearsal, solomo: Run, geo_url: str, tmp_path: Path) -> Codes:
    for store_id in ("s1", "s2", "a-store-with-quite-a-long-id"):
        made = await rehearsal.geo.put(
            f"/v1/stores/{store_id}", json=STORE, headers=rehearsal.server
        )
        assert made.status_code == 201, made.text
    return Codes(solomo, geo_url, tmp_path / "codes", rehearsal)


async def test_each_store_gets_its_code_once(codes: Codes) -> None:
    words = ("--all-stores", "--campaign", "autumn", "--kol", "lin", "--json")
    first = await codes(SERVICE, *words)
    assert (first.code, first.document["made"]) == (0, 3), first.err
    (codes.out / "s=s1&c=autumn&k=lin.png").unlink()
    again = await codes(SERVICE, *words)
    assert (again.document["made"], again.document["codes"]) == (1, 3)
    assert codes.rehearsal.calls("qrcode/create") == 3
    assert [row["store_id"] for row in codes.listed] == [
        "a-store-with-quite-a-long-id",
        "s1",
        "s2",
    ]
    for row in codes.listed:
        assert (codes.out / row["file"]).read_bytes().startswith(b"\x89PNG")
    assert {(s["store_id"], s["campaign"], s["kol"]) for s in await codes.scenes(SERVICE)} == {
        (store, "autumn", "lin") for store in ("s1", "s2", "a-store-with-quite-a-long-id")
    }


async def test_what_no_code_carries_is_told_before_any_is_made(codes: Codes) -> None:
    long = await codes(MINI, "--all-stores", "--campaign", "autumn-2026")
    shared = await codes(MINI, "--all-stores", "--scene", "all")
    unknown = await codes(MINI, "--all-stores", "--scene", "{shop}")
    assert [ran.code for ran in (long, shared, unknown)] == [1, 1, 1]
    assert "--scene 's={hash}'" in long.err
    assert "Several stores" in shared.err
    assert "{store}" in unknown.err
    assert codes.rehearsal.calls("getwxacodeunlimit") == 0
    short = await codes(MINI, "--all-stores", "--scene", "s={hash}")
    assert short.code == 0, short.err
    assert len(codes.files) == 4


async def test_a_busy_wechat_is_waited_for(codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("cli.wechat_codes.time.sleep", waited.append)
    await codes.rehearsal.fault(kind="error", errcode=-1, path="/cgi-bin/qrcode/create", left=2)
    ran = await codes(SERVICE, "--store", "s1", "--svg")
    assert ran.code == 0, ran.err
    assert 5.0 in waited
    assert codes.files == ["codes.csv", "s=s1.svg"]

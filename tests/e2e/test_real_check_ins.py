"""Real stores and real check-ins through real processes, undisturbed and killed in between."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installation import VICTIMS, Installation, kill_in_turns
from tests.shared_data import shared_data

pytestmark = pytest.mark.slow

CHECK_INS = 113_344
PEOPLE = 1_082
MATCHES = 22_253
PAIRS_ON_AN_EDGE = 72
"""Pairs within 0.1 m of a circle's edge: only these may differ from the expected counts."""


def stores() -> list[str]:
    path = str(shared_data("data/stores_nyc_alltheplaces.csv.gz"))
    options = ["--datum", "wgs84", "--radius-m", "100", "--timezone", "America/New_York"]
    return ["import", "stores", path, *options, "--where", "brand_key=dunkin"]


def check_ins() -> list[str]:
    path = str(shared_data("data/foursquare_nyc_checkins.csv.gz"))
    subject = ["--namespace", "app_user", "--issuer", "foursquare", "--kind", "background"]
    fix = ["--accuracy-m", "0", "--datum", "wgs84"]
    return ["replay", path, *subject, *fix, "--where", "precision=s", "--consent", "2012-04"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that has heard the whole file once."""
    installation = Installation(tmp_path_factory.mktemp("undisturbed"))
    installation.run("up")
    try:
        imported = installation.report(*stores())
        assert (imported["created"], imported["refused"]) == (967, [])
        replayed = installation.report(*check_ins())
        assert replayed["new"] == replayed["sent"] == CHECK_INS
        assert replayed["matches"] == MATCHES
        yield installation
    finally:
        installation.run("reset", "--yes")


@pytest.fixture(scope="module")
def dump(undisturbed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "undisturbed.ndjson"
    path.write_text(undisturbed.run("dump", "--canonical", "--wait"))
    return path


def records(dump: Path, section: str) -> Iterator[dict[str, Any]]:
    with dump.open() as lines:
        for line in lines:
            record = json.loads(line)
            if record["section"] == section:
                yield record


def test_each_store_has_the_check_ins_that_were_counted_independently(dump: Path) -> None:
    expected = json.loads(shared_data("data/expected.json").read_text())["foursquare_nyc"]
    per_store = expected["around_nyc_dunkin_100m_second_precision_rows"]["per_store"]
    counted = Counter(s for check_in in records(dump, "check_ins") for s in check_in["arrives"])
    differing = {s: (n, counted[s]) for s, n in per_store.items() if counted[s] != n}
    assert sum(abs(a - b) for a, b in differing.values()) <= PAIRS_ON_AN_EDGE, differing
    assert set(counted) <= set(per_store)


def test_every_check_in_stands_in_its_timeline_once(dump: Path) -> None:
    sent = {(*r["identity"], r["id"]) for r in records(dump, "check_ins")}
    told = Counter(
        (*r["identity"], r["data"]["check_in_id"])
        for r in records(dump, "timeline")
        if r["type"] == "check_in"
    )
    assert len(sent) == CHECK_INS
    assert set(told.values()) == {1}
    assert set(told) == sent
    assert len({tuple(identity) for *identity, _ in told}) == PEOPLE


def test_replaying_the_file_changes_nothing(undisturbed: Installation, dump: Path) -> None:
    again = undisturbed.report(*check_ins())
    assert (again["new"], again["repeats"]) == (0, CHECK_INS)
    assert undisturbed.run("dump", "--canonical", "--wait") == dump.read_text()


def test_killed_in_between_the_outcome_is_the_same(tmp_path: Path, dump: Path) -> None:
    installation = Installation(tmp_path)
    installation.run("up")
    try:
        installation.run(*stores())
        replay = installation.begin(*check_ins())
        killed = kill_in_turns(installation, replay, every_s=4)
        printed, complaint = replay.communicate()
        assert replay.returncode == 0, complaint
        assert set(killed) == set(VICTIMS), killed
        report = json.loads(printed)
        assert report["sent"] == report["new"] + report["repeats"] == CHECK_INS
        assert installation.run("dump", "--canonical", "--wait") == dump.read_text()
    finally:
        installation.run("reset", "--yes")

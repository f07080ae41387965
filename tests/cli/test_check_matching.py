import json

import pytest

from cli import matching_check
from cli.__main__ import main
from cli.matching_families import FAMILIES
from services.geo_api.presence.matching import FenceIndex, Fix
from tests.geo_api.presence.conftest import PostGIS, postgis

__all__ = ["postgis"]


def test_memory_and_postgis_agree_on_every_family_of_points(
    postgis: PostGIS, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check-matching", "--points", "12000", "--database", postgis.url, "--json"]
    code = main(words)
    document = json.loads(capsys.readouterr().out)
    assert (code, document["disagreements"], document["examples"]) == (0, 0, [])
    assert [family["points"] for family in document["families"]] == [1200] * len(FAMILIES)
    assert all(0 < family["inside"] < 1200 for family in document["families"])


def test_other_seeds_ask_other_points(postgis: PostGIS, capsys: pytest.CaptureFixture[str]) -> None:
    inside = set()
    for seed in "112":
        main(["check-matching", "--points", "400", "--seed", seed, "--database", postgis.url,
              "--json"])  # fmt: skip
        families = json.loads(capsys.readouterr().out)["families"]
        inside.add(tuple(family["inside"] for family in families))
    assert len(inside) == 2


def test_a_disagreement_is_counted_shown_and_ends_with_1(
    postgis: PostGIS, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shifted:
        def __init__(self, index: FenceIndex) -> None:
            self.index = index

        def match(self, fixes: list[Fix]) -> object:
            return self.index.match([fix._replace(lat=fix.lat * 0.999) for fix in fixes])

    class Shifting:
        @staticmethod
        def build(*arguments: object) -> Shifted:
            return Shifted(FenceIndex.build(*arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(matching_check, "FenceIndex", Shifting)
    code = main(["check-matching", "--points", "2000", "--database", postgis.url])
    said = capsys.readouterr().out
    assert code == 1
    assert "PostGIS is -" in said


@pytest.mark.parametrize("words", [["--points", "3"], ["--seed", "-1"], ["--points", "many"]])
def test_what_cannot_be_asked_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check-matching", *words])
    assert ended.value.code == 2


def test_a_database_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-matching", "--database", "postgresql://nobody@127.0.0.1:1/x"]) == 1
    assert "cannot be reached" in capsys.readouterr().err

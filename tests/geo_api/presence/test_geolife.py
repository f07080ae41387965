"""Real tracks at ten places: with the plain rule the counts that anyone can check, exactly."""

import json
from datetime import timedelta
from typing import Any

import pytest

from services.geo_api.presence.domain import Visit
from services.geo_api.presence.matching import FenceIndex
from services.geo_api.presence.rule import DEFAULT_RULE, PLAIN_RULE
from tests.geo_api.presence.geolife import (
    EXPECTED,
    GNSS_ACCURACY_M,
    TRACKS,
    Counts,
    Row,
    count,
    flaps,
    index_of,
    read,
    visits,
)
from tests.shared_data import shared_data

Visits = dict[str, list[Visit]]


@pytest.fixture(scope="module")
def places() -> list[dict[str, Any]]:
    document = json.loads(shared_data(f"data/{EXPECTED}").read_text())
    expected: list[dict[str, Any]] = document["geolife_2users"]["places"]
    return expected


@pytest.fixture(scope="module")
def index(places: list[dict[str, Any]]) -> FenceIndex:
    return index_of(places)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read(shared_data(f"data/{TRACKS}"))


@pytest.fixture(scope="module")
def plain(rows: list[Row], index: FenceIndex) -> Visits:
    return visits(rows, index, PLAIN_RULE, 0.0)


@pytest.fixture(scope="module")
def default(rows: list[Row], index: FenceIndex) -> Visits:
    return visits(rows, index, DEFAULT_RULE, GNSS_ACCURACY_M)


def test_the_plain_rule_gives_the_stated_counts_at_every_place(
    places: list[dict[str, Any]], plain: Visits
) -> None:
    assert len(places) == 10
    for place in places:
        stated = Counts(**{name: place[name] for name in Counts.__dataclass_fields__})
        assert count(plain, str(place["place"])) == stated


def test_the_plain_rule_gives_the_stated_first_visits(
    places: list[dict[str, Any]], plain: Visits
) -> None:
    for place in places:
        found = [
            {
                "device": device,
                "enter": f"{visit.entered_at:%Y-%m-%dT%H:%M:%SZ}",
                "last_inside": f"{visit.last_inside_at:%Y-%m-%dT%H:%M:%SZ}",
                "closed_by": {"left": "exit", "gap": "gap"}[str(visit.closed_by)],
            }
            for device, of_device in plain.items()
            for visit in of_device
            if visit.store_id == str(place["place"]) and visit.closed_by is not None
        ]
        found.sort(key=lambda visit: (visit["enter"], visit["device"]))
        assert found[: len(place["first_visits"])] == place["first_visits"]


@pytest.mark.slow
def test_the_default_rule_flaps_less_and_loses_no_dwell(
    places: list[dict[str, Any]], plain: Visits, default: Visits
) -> None:
    """Who merely grazes an edge is no visitor; who stays is, in one piece."""
    minute = timedelta(minutes=1)
    ids = [str(place["place"]) for place in places]
    for place in ids:
        assert count(default, place).enter <= count(plain, place).enter
        assert count(default, place).dwell_300s >= count(plain, place).dwell_300s
        assert flaps(default, place, minute) <= flaps(plain, place, minute)
    returns = [sum(flaps(by, place, minute) for place in ids) for by in (plain, default)]
    assert returns[1] * 4 < returns[0]

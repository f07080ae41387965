import threading
from zoneinfo import available_timezones

import pytest
import shapely
import timezonefinder

from shared.timezones import outlines_of, zone_of


@pytest.mark.parametrize(
    ("place", "lat", "lon", "zone"),
    [
        ("New York", 40.7419, -73.9893, "America/New_York"),
        ("Shanghai", 31.2304, 121.4737, "Asia/Shanghai"),
        ("Urumqi", 43.8256, 87.6168, "Asia/Urumqi"),
        ("Hong Kong", 22.2819, 114.1588, "Asia/Hong_Kong"),
        ("Macau", 22.1987, 113.5439, "Asia/Macau"),
        ("Taipei", 25.0340, 121.5645, "Asia/Taipei"),
        ("Kinmen", 24.4321, 118.3186, "Asia/Taipei"),
        ("Taveuni, east of the antimeridian", -16.8, -179.99, "Pacific/Fiji"),
        ("a ferry in the Channel", 50.2, -1.0, "Etc/GMT"),
        ("the North Pole", 90.0, 0.0, "Etc/GMT"),
    ],
)
def test_a_place_has_its_time_zone(place: str, lat: float, lon: float, zone: str) -> None:
    assert zone_of(lon, lat) == zone, place


def test_every_zone_that_can_be_found_is_known_to_the_clock() -> None:
    assert set(timezonefinder.TimezoneFinder().timezone_names) <= available_timezones()


def test_what_is_no_position_is_refused() -> None:
    with pytest.raises(ValueError, match="latitude"):
        zone_of(10.0, 95.0)


def test_an_outline_holds_its_city_and_has_its_holes() -> None:
    vatican = shapely.Point(12.4534, 41.9029)
    assert any(outline.covers(vatican) for outline in outlines_of("Europe/Vatican"))
    rome = outlines_of("Europe/Rome")
    assert any(outline.covers(shapely.Point(12.4964, 41.9028)) for outline in rome)
    assert not any(outline.covers(vatican) for outline in rome)


def test_an_unknown_zone_has_no_outline() -> None:
    with pytest.raises(ValueError, match="Mars/Olympus"):
        outlines_of("Mars/Olympus")


def test_many_threads_may_ask_at_once() -> None:
    answers: list[str | None] = []

    def ask() -> None:
        answers.extend(zone_of(lon, 40.0) for lon in (-73.0, 116.4, 2.5) * 50)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 600
    assert {answers.count(zone) for zone in set(answers)} == {200}

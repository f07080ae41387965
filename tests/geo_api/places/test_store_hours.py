"""Opening hours over HTTP: how they are told, kept, refused, and asked about."""

import copy
from typing import Any

import httpx
import pytest

from services.geo_api.places.hours_schemas import HOURS_EXAMPLE
from services.geo_api.places.spans import WEEKDAYS
from tests.conftest import Tokens
from tests.geo_api.places.factories import make_circle, make_store, store

pytestmark = pytest.mark.slow

WEEK = {"monday": ["09:00-12:00", "13:00-18:00"], "friday": ["22:00-02:00"]}


async def asked(client: httpx.AsyncClient, at: str) -> dict[str, Any]:
    answer = await client.get("/v1/stores/s1/hours", params={"at": at})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_hours_are_kept_with_the_store_and_answered_in_one_canonical_form(
    client: httpx.AsyncClient,
) -> None:
    created = await client.put("/v1/stores/s1", json=store(hours=HOURS_EXAMPLE))
    assert created.status_code == 201, created.text
    hours = created.json()["hours"]
    again = await client.put("/v1/stores/s1", json=store(hours=hours))

    assert hours["weekly"]["sunday"] == []
    assert hours["weekly"]["friday"] == ["09:00-18:00", "20:00-02:00"]
    assert hours["closures"][0]["from"] == "2027-01-11T05:00:00Z"
    assert (again.status_code, again.headers["etag"]) == (200, '"1"')
    assert (await client.get("/v1/stores/s1")).json()["hours"] == hours


async def test_the_same_hours_in_another_order_make_no_version(client: httpx.AsyncClient) -> None:
    await make_store(client, hours=HOURS_EXAMPLE)
    other: dict[str, Any] = copy.deepcopy(HOURS_EXAMPLE)
    other["exceptions"].reverse()
    other["weekly"]["monday"].reverse()
    other["closures"][0]["from"] = "2027-01-11T05:00:00+00:00"

    again = await client.put("/v1/stores/s1", json=store(hours=other))
    changed = await client.put("/v1/stores/s1", json=store(hours={"weekly": WEEK}))

    assert [again.headers["etag"], changed.headers["etag"]] == ['"1"', '"2"']


async def test_a_store_says_whether_it_is_open_why_and_until_when(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client, hours=HOURS_EXAMPLE)

    at_ten = await asked(client, "2026-11-23T10:00:00-05:00")
    at_noon = await asked(client, "2026-11-23T12:00:00-05:00")
    thanksgiving = await asked(client, "2026-11-26T09:00:00-05:00")
    christmas_eve = await asked(client, "2026-12-24T14:00:00-05:00")
    renovation = await asked(client, "2027-01-12T10:00:00-05:00")

    assert (at_ten["open"], at_ten["reason"]) == (True, "weekly")
    assert at_ten["closes_at"] == "2026-11-23T17:00:00Z"
    assert (at_noon["open"], at_noon["opens_next"]) == (False, "2026-11-23T18:00:00Z")
    assert (thanksgiving["reason"], thanksgiving["note"]) == ("holiday", "Thanksgiving Day")
    assert thanksgiving["opens_next"] == "2026-11-26T15:00:00Z"
    assert (christmas_eve["reason"], christmas_eve["note"]) == ("exception", "Christmas Eve")
    assert christmas_eve["opens_next"] == "2026-12-26T15:00:00Z"
    assert (renovation["reason"], renovation["note"]) == ("temporarily_closed", "Renovation")
    assert renovation["opens_next"] == "2027-01-18T15:00:00Z"  # Martin Luther King Day, from 10:00


async def test_without_hours_a_store_counts_as_open_until_it_closes_for_good(
    client: httpx.AsyncClient, tokens: Tokens
) -> None:
    await make_store(client)
    unknown = await asked(client, "2026-11-23T03:00:00Z")
    await client.delete("/v1/stores/s1")

    now = (await client.get("/v1/stores/s1/hours")).json()

    assert (unknown["open"], unknown["reason"], unknown["hours"]) == (True, "no_hours", None)
    assert (now["open"], now["reason"]) == (False, "closed_for_good")
    assert (await client.get("/v1/stores/s2/hours")).status_code == 404


async def test_stores_nearby_say_whether_they_are_open_now(client: httpx.AsyncClient) -> None:
    whole_day = {day: ["00:00-24:00"] for day in WEEKDAYS}
    await make_store(client, "s1", hours={"weekly": {}})
    await make_store(client, "s2", hours={"weekly": whole_day})
    await make_store(client, "s3")

    here = {"latitude": 40.7419, "longitude": -73.9893}
    found = (await client.get("/v1/stores/nearby", params=here)).json()["items"]

    open_now = {item["store_id"]: item["open_now"] for item in found}
    assert open_now == {"s1": False, "s2": True, "s3": True}


@pytest.mark.parametrize(
    ("hours", "pointer", "says"),
    [
        ({"weekly": {"monday": ["9-17"]}}, "/hours/weekly/monday/0", "09:00-18:00"),
        ({"weekly": {"monday": ["09:00-12:00", "11:00-13:00"]}}, "/hours/weekly/monday", "overlap"),
        ({"weekly": {"montag": []}}, "/hours/weekly/montag", "not a known field"),
        ({"weekly": {"monday": ["09:00-10:00"] * 11}}, "/hours/weekly/monday", "at most 10"),
        ({"holidays": {"country": "XX", "rule": "closed"}}, "/hours/holidays", "ISO 3166-1"),
        (
            {"holidays": {"country": "US", "subdivision": "BY", "rule": "closed"}},
            "/hours/holidays",
            "no such subdivision",
        ),
        ({"holidays": {"country": "US", "rule": "own_hours"}}, "/hours/holidays", "own_hours"),
        ({"exceptions": [{"date": "2026-02-30", "open": []}]}, "/hours/exceptions/0/date", ""),
        ({"exceptions": [{"date": 20260228, "open": []}]}, "/hours/exceptions/0/date", "a date"),
        ({"exceptions": [{"date": "2026-02-28", "open": []}] * 2}, "/hours/exceptions", "twice"),
        (
            {"closures": [{"from": "2026-02-28T00:00:00Z", "until": "2026-02-27T00:00:00Z"}]},
            "/hours/closures/0",
            "after from",
        ),
        ({"closures": [{"from": "2026-02-28"}]}, "/hours/closures/0/from", "RFC 3339"),
    ],
)
async def test_hours_that_cannot_be_are_explained_at_their_place(
    client: httpx.AsyncClient, hours: dict[str, Any], pointer: str, says: str
) -> None:
    answer = await client.put("/v1/stores/s1", json=store(hours=hours))

    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert says in fault["detail"]


async def test_a_geofence_keeps_its_schedule_and_dwell_times_by_version(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client)
    schedule = {"valid_from": "2026-12-01T00:00:00Z", "weekly": {"sunday": ["08:00-14:00"]}}
    await make_circle(client, schedule=schedule, dwell_s=[300, 900])

    read = (await client.get("/v1/geofences/g1")).json()

    assert read["dwell_s"] == [300, 900]
    assert read["schedule"]["weekly"]["sunday"] == ["08:00-14:00"]
    assert read["schedule"]["valid_from"] == "2026-12-01T00:00:00Z"
    assert read["schedule"]["valid_until"] is None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"dwell_s": [900, 300]}, "/dwell_s"),
        ({"dwell_s": [300, 300]}, "/dwell_s"),
        ({"dwell_s": [0]}, "/dwell_s/0"),
        ({"dwell_s": [86_401]}, "/dwell_s/0"),
        ({"dwell_s": [1, 2, 3, 4, 5, 6]}, "/dwell_s"),
        ({"dwell_s": [1.5]}, "/dwell_s/0"),
        (
            {
                "schedule": {
                    "valid_from": "2026-12-01T00:00:00Z",
                    "valid_until": "2026-12-01T00:00:00Z",
                }
            },
            "/schedule",
        ),
        ({"schedule": {"weekly": {}}}, "/schedule"),
    ],
)
async def test_schedules_and_dwell_times_that_cannot_be_are_refused(
    client: httpx.AsyncClient, changes: dict[str, Any], pointer: str
) -> None:
    await make_store(client)
    geometry = {"type": "Circle", "coordinates": [-73.9893, 40.7419], "radius_m": 50}

    body = {"store_id": "s1", "geometry": geometry} | changes
    answer = await client.put("/v1/geofences/g1", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer

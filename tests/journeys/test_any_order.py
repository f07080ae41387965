"""A day of fixes in 200 random orders and splits: the same visits, timeline and traits."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, zip_longest
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import DatabaseUrls, Tokens
from tests.geo_api.checkins.helpers import LON, body, known, north, open_store, person
from tests.journeys.test_main_job import drained, profile, timeline

pytestmark = pytest.mark.slow

ORDERS = 200
DAY = datetime(2026, 11, 20, 8, tzinfo=UTC)
PAUSES_S = (0, 1, 4, 5, 20, 60, 119, 120, 121, 300, 600, 1_799, 1_800, 1_801, 2_400)
"""Around every limit of the rule."""
SPOTS: tuple[tuple[float, float], ...] = (
    (0, 10), (60, 20), (95, 30), (99, 60), (99, 60), (104, 10), (125, 10), (170, 15), (215, 10),
    (250, 60), (300, 30), (450, 10), (2_000, 10), (0, 300), (250, 2_500),
)  # fmt: skip
"""Metres north of the first store and accuracy: all standings at either store, and coarse ones."""


def day() -> list[dict[str, Any]]:
    """Check-ins but for whose they are; some at the same moment."""
    random = Random(7)
    seconds = accumulate(random.choice(PAUSES_S) for _ in range(60))
    fixes = []
    for second in seconds:
        metres, accuracy_m = random.choice(SPOTS)
        fixes.append(
            body(
                id=str(UUID(int=random.getrandbits(128), version=4)),
                kind="background",
                latitude=north(metres),
                accuracy_m=accuracy_m,
                occurred_at=(DAY + timedelta(seconds=second)).isoformat(),
                consent={**body()["consent"], "given_at": "2026-11-01T00:00:00Z"},
            )
        )
    return fixes


def split(fixes: list[dict[str, Any]], name: str, seed: int) -> Iterator[list[dict[str, Any]]]:
    """In order for seed 0, in one of many others else; in parts of one to nine."""
    random = Random(seed)
    own = [{**fix, "subject": person(name)} for fix in fixes]
    if seed:
        random.shuffle(own)
    while own:
        part = random.randint(1, 9)
        yield own[:part]
        own = own[part:]


@pytest.fixture
async def server(
    geo: httpx.AsyncClient, geo_app: FastAPI, member_app: FastAPI, tokens: Tokens
) -> dict[str, str]:
    """Two stores, 250 m apart, the first with two thresholds of a dwell."""
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    await open_store(geo, geo_app, headers, "s2", radius_m=60)
    for store_id, metres, radius_m, dwell_s in (("s1", 0, 100, [120, 900]), ("s2", 250, 60, [])):
        geometry = {"type": "Circle", "coordinates": [LON, north(metres)], "radius_m": radius_m}
        fence = {"store_id": store_id, "datum": "wgs84", "geometry": geometry, "dwell_s": dwell_s}
        new = f"{store_id}-new"
        assert (await geo.put(f"/v1/geofences/{new}", json=fence, headers=headers)).is_success
        assert (await geo.delete(f"/v1/geofences/{store_id}", headers=headers)).is_success
        await known(geo_app, new)
    return headers


async def visits(urls: DatabaseUrls) -> dict[str, set[tuple[object, ...]]]:
    """By subject what must be equal; an end that mere silence gave reads as open."""
    connection = await asyncpg.connect(urls.superuser.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch("SELECT * FROM geo.visits")
    finally:
        await connection.close()
    found: dict[str, set[tuple[object, ...]]] = {}
    for row in rows:
        goes_on = row["state"] == "open" or row["provisional"]
        end = (None, None) if goes_on else (row["left_at"], row["closed_by"])
        facts = row["store_id"], row["entered_at"], row["last_inside_at"], tuple(row["dwelled"])
        found.setdefault(str(row["subject_id"]), set()).add((*facts, *end))
    return found


def effective(items: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """The timeline without what depends on the order: ids of visits, and invitations."""
    shown = [item for item in items if item["type"] != "invitation_shown"]
    return sorted(
        (item["occurred_at"], item["type"], item["store_id"] or "", _without_visit(item["data"]))
        for item in shown
    )


def _without_visit(data: dict[str, Any]) -> str:
    return str(sorted((name, str(value)) for name, value in data.items() if name != "visit_id"))


@pytest.mark.slow
async def test_200_orders_and_splits_give_the_same_visits_timeline_and_traits(
    geo: httpx.AsyncClient,
    member: httpx.AsyncClient,
    geo_app: FastAPI,
    member_app: FastAPI,
    server: dict[str, str],
    database_urls: DatabaseUrls,
) -> None:
    fixes = day()
    people = [split(fixes, f"walker-{seed}", seed) for seed in range(ORDERS)]
    for parts in zip_longest(*people, fillvalue=[]):
        lines = [fix for part in parts for fix in part]
        answer = await geo.post("/v1/check-ins/batch", json=lines, headers=server)
        assert answer.text.count('"http_status":201') == len(lines)
    await drained(geo_app, member_app)
    by_subject = await visits(database_urls)
    assert len(by_subject) == ORDERS
    [same] = {frozenset(of_subject) for of_subject in by_subject.values()}
    assert {closed_by for *_, closed_by in same} >= {"left", "gap"}
    assert {store for store, *_ in same} == {"s1", "s2"}
    assert any(dwelled for _, _, _, dwelled, _, _ in same)
    first = None
    for seed in range(ORDERS):
        found = await profile(member, server, f"walker-{seed}")
        items = effective(await timeline(member, server, found["person_id"]))
        first = first or (items, found["traits"])
        assert (items, found["traits"]) == first
    assert {kind for _, kind, _, _ in items} >= {
        "check_in", "visit_entered", "visit_dwelled", "visit_exited", "visit_expired",
    }  # fmt: skip

"""Stores over HTTP: create, change, condition, close."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest

from tests.conftest import Tokens
from tests.geo_api.places.factories import circle, make_circle, make_store, store

pytestmark = pytest.mark.slow


async def test_a_store_is_created_then_changed_and_answers_what_was_sent(
    client: httpx.AsyncClient,
) -> None:
    created = await client.put("/v1/stores/s1", json=store())
    changed = await client.put("/v1/stores/s1", json=store(name="Flatiron"))
    read = await client.get("/v1/stores/s1")

    assert (created.status_code, changed.status_code) == (201, 200)
    assert (created.headers["etag"], changed.headers["etag"]) == ('"1"', '"2"')
    assert read.json() == changed.json()
    assert read.headers["etag"] == '"2"'
    assert store(name="Flatiron").items() <= read.json().items()
    assert read.json()["wgs84"] == {"latitude": 40.7419, "longitude": -73.9893}


async def test_the_same_content_again_makes_no_version_no_event_and_no_index_version(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    before = await sql.fetchval("SELECT version FROM geo.fence_index_version")

    again = await client.put("/v1/stores/s1", json=store())

    assert again.status_code == 200
    assert again.json()["version"] == 1
    assert await sql.fetchval("SELECT version FROM geo.fence_index_version") == before
    assert await sql.fetchval("SELECT count(*) FROM geo.outbox") == 1


async def test_every_change_of_a_store_is_told_to_member_api_with_its_version(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await client.put("/v1/stores/s1", json=store(tags=["new"]))
    await client.delete("/v1/stores/s1")

    rows = await sql.fetch("SELECT event_id, payload FROM geo.outbox ORDER BY id")
    events = [orjson.loads(row["payload"]) for row in rows]
    assert [event["revision"] for event in events] == [1, 2, 3]
    assert {event["type"] for event in events} == {"store_changed"}
    assert len({row["event_id"] for row in rows}) == 1
    assert events[1]["data"] == {
        "store_id": "s1",
        "name": "Madison Square Park",
        "brand": "Demo Coffee",
        "address": "Madison Ave & E 23rd St",
        "timezone": "America/New_York",
        "tags": ["new"],
        "closed": False,
    }
    assert events[2]["data"]["closed"] is True


async def test_a_gcj02_position_is_converted_and_the_received_pair_is_kept(
    client: httpx.AsyncClient,
) -> None:
    body = store(latitude=31.2304, longitude=121.4737, datum="gcj02", timezone="Asia/Shanghai")

    answer = (await client.put("/v1/stores/s1", json=body)).json()

    assert (answer["latitude"], answer["longitude"]) == (31.2304, 121.4737)
    assert answer["datum"] == "gcj02"
    moved_north = answer["wgs84"]["latitude"] - 31.2304
    assert 0.0015 < abs(moved_north) < 0.003


@pytest.mark.parametrize(
    ("changes", "pointer", "says"),
    [
        ({"latitude": -73.9893, "longitude": 40.7419}, "/latitude", "swapped"),
        ({"latitude": 121.47, "longitude": 31.23}, "/latitude", "swapped"),
        ({"latitude": 0, "longitude": 0}, "/latitude", "no position"),
        ({"latitude": "40.7"}, "/latitude", "number"),
        ({"timezone": "Mars/Olympus"}, "/timezone", "IANA"),
        ({"name": "   "}, "/name", ""),
        ({"name": "x" * 201}, "/name", "200"),
        ({"name": "a\x00b"}, "/name", "control"),
        ({"tags": ["x" * 65]}, "/tags/0", "64"),
        ({"tags": [str(n) for n in range(51)]}, "/tags", "50"),
        ({"datum": "nad27"}, "/datum", ""),
        ({"lattitude": 1}, "/lattitude", "spelling"),
    ],
)
async def test_a_faulty_field_is_named_and_nothing_is_stored(
    client: httpx.AsyncClient, changes: dict[str, Any], pointer: str, says: str
) -> None:
    answer = await client.put("/v1/stores/s1", json=store(**changes))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert says in answer.json()["errors"][0]["detail"]
    assert (await client.get("/v1/stores/s1")).status_code == 404


async def test_texts_are_stored_in_nfc_and_equal_tags_once(client: httpx.AsyncClient) -> None:
    body = store(name="Cafe\u0301", tags=["a", "b", "a"])

    answer = (await client.put("/v1/stores/s1", json=body)).json()

    assert answer["name"] == "Caf\u00e9"
    assert answer["tags"] == ["a", "b"]


@pytest.mark.parametrize("store_id", ["a b", "x" * 65, "a%2Fb", "%E5%BA%97"])
async def test_an_id_outside_of_the_alphabet_is_refused(
    client: httpx.AsyncClient, store_id: str
) -> None:
    answer = await client.put(f"/v1/stores/{store_id}", json=store())

    assert answer.status_code in (404, 422)


async def test_if_match_lets_only_the_version_named_be_changed(client: httpx.AsyncClient) -> None:
    await make_store(client)

    async def put(name: str, etag: str) -> httpx.Response:
        return await client.put("/v1/stores/s1", json=store(name=name), headers={"If-Match": etag})

    assert (await put("A", '"1"')).status_code == 200
    refused = await put("B", '"1"')
    assert refused.status_code == 412
    assert refused.json()["version"] == 2
    assert (await put("B", 'W/"2"')).status_code == 412
    assert (await put("B", '"1", "2"')).status_code == 200
    assert (await put("C", "*")).status_code == 200
    assert (await put("D", "4")).status_code == 422
    assert (await client.get("/v1/stores/s1")).json()["name"] == "C"


async def test_if_none_match_lets_only_a_new_store_be_created(client: httpx.AsyncClient) -> None:
    new_only = {"If-None-Match": "*"}

    first = await client.put("/v1/stores/s1", json=store(), headers=new_only)
    second = await client.put("/v1/stores/s1", json=store(name="B"), headers=new_only)
    absent = await client.put("/v1/stores/s2", json=store(), headers={"If-Match": "*"})

    assert [first.status_code, second.status_code, absent.status_code] == [201, 412, 412]


async def test_of_eight_changes_made_for_the_same_version_one_wins(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client)

    async def attempt(number: int) -> httpx.Response:
        body = store(name=f"Name {number}")
        return await client.put("/v1/stores/s1", json=body, headers={"If-Match": '"1"'})

    answers = await asyncio.gather(*map(attempt, range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert (await client.get("/v1/stores/s1")).json() == winner.json()


async def test_of_eight_that_create_the_same_store_at_once_one_creates_it(
    client: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(*(client.put("/v1/stores/s1", json=store()) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert {answer.json()["version"] for answer in answers} == {1}


async def test_deleting_closes_for_good_and_again_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client)

    first = await client.delete("/v1/stores/s1")
    closed = (await client.get("/v1/stores/s1")).json()
    second = await client.delete("/v1/stores/s1")
    reopened = await client.put("/v1/stores/s1", json=store())

    assert (first.status_code, second.status_code) == (204, 204)
    assert closed["closed_at"] is not None
    assert closed["version"] == 2
    assert (await client.get("/v1/stores/s1")).json() == closed
    assert reopened.status_code == 409
    assert reopened.json()["type"] == "/problems/store-closed"
    assert "new id" in reopened.json()["detail"]
    assert (await client.delete("/v1/stores/never")).status_code == 404


async def test_deleting_a_store_closes_its_geofences_and_ends_the_visits_there(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client, "g1")
    await make_circle(client, "g2")
    await _enter(sql, "s1")

    answer = await client.delete("/v1/stores/s1")

    assert answer.status_code == 204
    fences = (await client.get("/v1/geofences?closed=true&store_id=s1")).json()["items"]
    assert [fence["geofence_id"] for fence in fences] == ["g1", "g2"]
    assert await sql.fetchval("SELECT closed_by FROM geo.visits") == "store_closed"
    assert (await client.put("/v1/geofences/g3", json=circle())).status_code == 409


async def test_a_delete_for_an_old_version_closes_nothing(client: httpx.AsyncClient) -> None:
    await make_store(client)
    await client.put("/v1/stores/s1", json=store(name="B"))

    answer = await client.delete("/v1/stores/s1", headers={"If-Match": '"1"'})

    assert answer.status_code == 412
    assert (await client.get("/v1/stores/s1")).json()["closed_at"] is None


async def test_staff_read_and_members_search_but_neither_writes(
    client: httpx.AsyncClient, tokens: Tokens
) -> None:
    await make_store(client)
    staff, member = tokens("staff", store_id="s1"), tokens("member", subject_id=uuid4())
    nearby = "/v1/stores/nearby?latitude=40.7&longitude=-74"

    assert (await client.get("/v1/stores/s1", headers=staff)).status_code == 200
    assert (await client.get("/v1/stores/s1", headers=member)).status_code == 403
    assert (await client.get(nearby, headers=member)).status_code == 200
    for headers in (staff, member):
        put = await client.put("/v1/stores/s1", json=store(), headers=headers)
        assert put.status_code == 403
        assert (await client.delete("/v1/stores/s1", headers=headers)).status_code == 403


async def _enter(sql: "asyncpg.Connection[asyncpg.Record]", store_id: str) -> None:
    """An open visit at the store, as the check-ins of a subject leave it."""
    entered_at = datetime.now(UTC) - timedelta(minutes=5)
    subject = uuid4()
    await sql.execute(
        """INSERT INTO geo.visits (subject_id, visit_id, store_id, state, entered_at,
               last_inside_at, provisional, revision, last_received_at)
           VALUES ($1, $2, $3, 'open', $4, $4, false, 1, $4)""",
        subject,
        uuid4(),
        store_id,
        entered_at,
    )

"""Who is in the store now, and who was: the list of visits."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.presence import repository
from services.geo_api.presence.domain import ClosedBy, Visit, VisitState
from shared.direct import run_together
from shared.ids import uuid7
from shared.pagination import encode_cursor
from tests.conftest import Tokens
from tests.geo_api.plans import plan, statements

pytestmark = pytest.mark.slow

PATH = "/v1/visits"
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def visit(minute: int, store_id: str = "s1", state: VisitState = VisitState.OPEN) -> Visit:
    entered_at = START + timedelta(minutes=minute)
    is_open = state is VisitState.OPEN
    return Visit(
        subject_id=uuid7(),
        visit_id=uuid7(),
        store_id=store_id,
        state=state,
        entered_at=entered_at,
        last_inside_at=entered_at,
        left_at=None if is_open else entered_at,
        closed_by=None if is_open else ClosedBy.LEFT,
        provisional=False,
        revision=1,
        last_received_at=entered_at + timedelta(days=36500),  # no sweep ends it
    )


async def stored(app: FastAPI, *visits: Visit) -> list[str]:
    """Their ids, the latest entry first, as they are listed."""
    async with app.state.database.begin() as connection:
        await run_together(connection, repository.beginning(visits))
    listed = sorted(visits, key=lambda one: (one.entered_at, one.visit_id), reverse=True)
    return [str(one.visit_id) for one in listed]


async def seen(geo: httpx.AsyncClient, headers: dict[str, str], **query: str | int) -> list[str]:
    """The ids on all pages, in order."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await geo.get(PATH, params={**query, **cursor}, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return ids
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("state", VisitState)
async def test_pages_hold_each_visit_once_latest_entry_first(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens, state: VisitState
) -> None:
    """Several entered at the same moment, as a batch brings them."""
    ids = await stored(geo_app, *(visit(minute // 3, state=state) for minute in range(8)))
    other = VisitState.OPEN if state is VisitState.EXITED else VisitState.EXITED
    await stored(geo_app, visit(0, state=other))
    headers = tokens("marketer")
    assert await seen(geo, headers, state=state.value, limit=3) == ids
    assert await seen(geo, headers, state=state.value, limit=3, store_id="s1") == ids
    assert await seen(geo, headers, state=state.value, store_id="s2") == []


async def test_staff_see_their_own_store_only(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    there, here = await stored(geo_app, visit(0, "s1"), visit(1, "s2"))
    staff = tokens("staff", store_id="s1")
    assert await seen(geo, staff) == await seen(geo, staff, store_id="s1") == [here]
    assert await seen(geo, tokens("server")) == [there, here]
    answer = await geo.get(PATH, params={"store_id": "s2"}, headers=staff)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        encode_cursor("2026-11-23T12:00:00", UUID(int=1)),
        encode_cursor(1, UUID(int=1)),
        encode_cursor("2026-11-23T12:00:00+00:00", 7),
        encode_cursor("2026-11-23T12:00:00+00:00"),
    ],
)
async def test_a_cursor_of_another_list_is_named(
    geo: httpx.AsyncClient, tokens: Tokens, cursor: str
) -> None:
    answer = await geo.get(PATH, params={"cursor": cursor}, headers=tokens("server"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?cursor"


async def test_a_page_takes_one_statement_whatever_its_length(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    await stored(geo_app, *(visit(minute) for minute in range(40)))
    for limit in (1, 40):
        with statements(geo_app) as sent:
            await geo.get(PATH, params={"limit": limit}, headers=tokens("server"))
        assert len(sent) == 1


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize(
    ("is_open", "by_store", "index", "sorts"),
    [
        (True, True, "ix_visits_open", True),  # only by visit_id, among equal entries
        (False, True, "ix_visits_closed_at_store", False),
        (False, False, "ix_visits_closed", False),
    ],
)
async def test_a_page_is_read_from_an_index_in_its_order(
    geo_app: FastAPI, is_open: bool, by_store: bool, goes_on: bool, index: str, sorts: bool
) -> None:
    statement = repository.list_statement(is_open=is_open, by_store=by_store, goes_on=goes_on)
    values = {
        "state": "exited",
        "store": "s1",
        "entered_at": START,
        "visit_id": UUID(int=1),
        "most": 51,
    }
    needed = {name: value for name, value in values.items() if f":{name}" in statement.text}
    async with geo_app.state.database.begin() as connection:
        nodes = await plan(connection, statement, needed)
    assert [node["Index Name"] for node in nodes if "Index Name" in node] == [index]
    kinds = {node["Node Type"] for node in nodes}
    assert ("Incremental Sort" in kinds) is sorts
    assert not kinds & {"Sort", "Seq Scan"}


@pytest.mark.parametrize("goes_on", [False, True])
async def test_who_is_in_any_store_now_reads_open_visits_only(
    geo_app: FastAPI, goes_on: bool
) -> None:
    statement = repository.list_statement(is_open=True, by_store=False, goes_on=goes_on)
    values = {"entered_at": START, "visit_id": UUID(int=1), "most": 51}
    needed = {name: value for name, value in values.items() if f":{name}" in statement.text}
    async with geo_app.state.database.begin() as connection:
        nodes = await plan(connection, statement, needed)
    assert {node["Index Name"] for node in nodes if "Index Name" in node} <= {
        "ix_visits_open",
        "ix_visits_silent",
    }
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}


async def test_a_visit_is_read_by_its_id_and_its_subject(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    one = visit(0)
    await stored(geo_app, one, visit(1))
    address, about = f"{PATH}/{one.visit_id}", {"subject_id": str(one.subject_id)}

    for headers in (tokens("server"), tokens("marketer"), tokens("staff", store_id="s1")):
        answer = await geo.get(address, params=about, headers=headers)
        assert answer.json()["id"] == str(one.visit_id)
    elsewhere = tokens("staff", store_id="s2")
    assert (await geo.get(address, params=about, headers=elsewhere)).status_code == 404
    other = {"subject_id": str(uuid7())}
    assert (await geo.get(address, params=other, headers=tokens("server"))).status_code == 404


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"namespace": "app_user"},
        {"value": "a"},
        {"subject_id": str(uuid7()), "namespace": "app_user", "value": "a"},
    ],
)
async def test_a_visit_is_asked_for_by_its_subject_or_by_an_identity(
    geo: httpx.AsyncClient, tokens: Tokens, about: dict[str, str]
) -> None:
    answer = await geo.get(f"{PATH}/{uuid7()}", params=about, headers=tokens("server"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?subject_id"


async def test_a_chain_of_former_ids_leads_to_the_visit_that_remains(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    one = visit(0)
    await stored(geo_app, one)
    first, second = uuid7(), uuid7()
    aliases = [(one.subject_id, first, second), (one.subject_id, second, one.visit_id)]
    async with geo_app.state.database.begin() as connection:
        await run_together(connection, repository.naming(aliases))

    about = {"subject_id": str(one.subject_id)}
    answer = await geo.get(f"{PATH}/{first}", params=about, headers=tokens("server"))

    assert answer.json()["id"] == str(one.visit_id)

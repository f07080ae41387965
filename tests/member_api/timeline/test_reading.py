"""Reading a timeline: newest first, filtered, in pages, off the primary key."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from services.member_api.timeline.reading import _PAGE
from services.member_api.timeline.schemas import TimelineType
from shared.auth import Role
from shared.contracts.events import NOT_IN_TIMELINE, EventType
from shared.ids import birth_person_id
from tests.conftest import Tokens
from tests.member_api.conftest import Known, Tell, key
from tests.member_api.events import app_user, at, check_in, dwelled, event, redeemed


@pytest.fixture
async def subject(tell: Tell) -> UUID:
    """Nine check-ins at two stores, ten minutes apart, and a redemption at the end."""
    subject = uuid4()
    visits = [
        check_in(subject, time=at(10 * number), store_id=f"s{number % 2}") for number in range(9)
    ]
    await tell(*visits, redeemed(subject, uuid4(), time=at(90)))
    return subject


@pytest.fixture
def read(member: httpx.AsyncClient, server: dict[str, str], subject: UUID) -> Any:
    async def page(**params: Any) -> Any:
        path = f"/v1/people/{birth_person_id(subject)}/timeline"
        response = await member.get(path, params=params, headers=server)
        assert response.status_code == 200, response.text
        return response.json()

    return page


async def test_items_come_newest_first(read: Any) -> None:
    times = [item["occurred_at"] for item in (await read())["items"]]

    assert len(times) == 10
    assert times == sorted(times, reverse=True)


async def test_pages_put_together_are_the_whole(read: Any) -> None:
    whole = await read()
    pages, cursor = [], None
    while True:
        page = await read(limit=3, **({} if cursor is None else {"cursor": cursor}))
        pages.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [item for page in pages for item in page] == whole["items"]


async def test_items_are_filtered_by_type_store_and_time(read: Any) -> None:
    bought = (await read(type="coupon_redeemed"))["items"]
    both = (await read(type=["coupon_redeemed", "check_in"]))["items"]
    at_s0 = (await read(store_id="s0"))["items"]
    between = (await read(since=at(10).isoformat(), until=at(30).isoformat()))["items"]

    assert [item["type"] for item in bought] == ["coupon_redeemed"]
    assert len(both) == 10
    assert {item["store_id"] for item in at_s0} == {"s0"}
    assert len(at_s0) == 5
    assert [item["occurred_at"] for item in between] == [
        "2026-11-20T09:20:00Z",
        "2026-11-20T09:10:00Z",
    ]


async def test_a_store_is_found_among_all_that_matched(
    tell: Tell, subject: UUID, read: Any
) -> None:
    deep = check_in(subject, time=at(200), store_id="deep")
    deep["data"]["store_ids"] = ["deep", "around"]
    await tell(deep)

    (item,) = (await read(store_id="around"))["items"]

    assert (item["id"], item["store_id"]) == (deep["id"], "deep")


async def test_a_month_with_a_partition_and_one_without_are_one_timeline(
    tell: Tell, subject: UUID, read: Any
) -> None:
    await tell(check_in(subject, time=at(-60 * 24 * 365 * 14)))

    items = (await read())["items"]

    assert len(items) == 11
    assert items[-1]["occurred_at"].startswith("2012-11")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("type=moonwalk", "?type/0"),
        ("store_id=a%20b", "?store_id"),
        ("since=yesterday", "?since"),
        ("limit=0", "?limit"),
        ("cursor=nonsense", "?cursor"),
        ("cursor=WyJhIiwiYiJd", "?cursor"),
    ],
)
async def test_a_bad_query_names_its_field(
    member: httpx.AsyncClient, server: dict[str, str], subject: UUID, query: str, pointer: str
) -> None:
    path = f"/v1/people/{birth_person_id(subject)}/timeline?{query}"

    response = await member.get(path, headers=server)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_a_member_reads_its_own_timeline_and_no_other(
    member: httpx.AsyncClient, tokens: Tokens, subject: UUID
) -> None:
    own = tokens(Role.MEMBER, subject_id=subject)
    another = tokens(Role.MEMBER, subject_id=uuid4())
    path = f"/v1/people/{birth_person_id(subject)}/timeline"

    assert (await member.get("/v1/people/me/timeline", headers=own)).status_code == 200
    assert (await member.get(path, headers=own)).status_code == 200
    assert (await member.get(path, headers=another)).status_code == 404
    assert (await member.get(path, headers=tokens("staff", store_id="s1"))).status_code == 403


BESIDE = re.compile(r"member\.(outbox|revoked_tokens|idempotency_keys|used_inv|make_)|pg_")
"""What runs beside the requests: feed, revocations, sweeper, and connections being opened."""


async def test_lists_and_profiles_ask_a_fixed_number_of_queries(
    member_app: FastAPI,
    member: httpx.AsyncClient,
    server: dict[str, str],
    known: Known,
    tell: Tell,
) -> None:
    subjects = [await known(app_user(str(number))) for number in range(3)]
    await tell(*(check_in(subject, time=at(n)) for n, subject in enumerate(subjects * 5)))
    for other in subjects[1:]:
        people = [{"person_id": str(birth_person_id(one))} for one in (subjects[0], other)]
        body = {"people": people, "evidence": "e"}
        await member.post("/v1/people/merge", json=body, headers=server | key())
    asked: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    engine = member_app.state.database.engine.sync_engine
    person = f"/v1/people/{birth_person_id(subjects[0])}"
    counts = {}
    for path in (person, f"{person}/timeline", f"{person}/consents", "/v1/merges"):
        sqlalchemy_event.listen(engine, "before_cursor_execute", count)
        assert (await member.get(path, headers=server)).status_code == 200
        sqlalchemy_event.remove(engine, "before_cursor_execute", count)
        counts[path.removeprefix(person)] = sum(
            "member." in one and not BESIDE.search(one) for one in asked
        )
        asked.clear()

    assert counts == {"": 10, "/timeline": 2, "/consents": 5, "/v1/merges": 1}


async def test_a_page_comes_off_the_primary_key_of_each_partition(
    member_app: FastAPI, subject: UUID
) -> None:
    values = {
        "subjects": [subject],
        "types": ["check_in"],
        "store": "s1",
        "since": None,
        "until": None,
        "before_at": at(60),
        "before_id": uuid4(),
        "limit": 50,
    }
    async with member_app.state.database.begin() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = text(f"EXPLAIN (FORMAT JSON) {_PAGE.text}")
        (plan,) = await connection.scalar(explain, values)

    nodes = list(nodes_of(plan["Plan"]))
    kinds = [node["Node Type"] for node in nodes]
    indexes = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert "Seq Scan" not in kinds
    assert {"timeline_items_p_2026_11_pkey", "timeline_items_p_default_pkey"} <= indexes
    assert "Merge Append" in kinds
    assert kinds.count("Sort") + kinds.count("Incremental Sort") <= 1  # the subjects' own pages


def nodes_of(plan: Any) -> Iterator[Any]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)


def test_the_types_of_the_filter_are_those_of_the_timeline() -> None:
    types = {kind.value for kind in EventType if kind not in NOT_IN_TIMELINE}

    assert set(TimelineType.__args__) == types  # type: ignore[attr-defined]  # a Literal's values


async def test_invitations_shown_and_stays_dwelled_stand_in_the_timeline(
    tell: Tell, subject: UUID, read: Any
) -> None:
    await tell(
        event("invitation_shown", subject, "i", time=at(300), data={"campaign": "c"}),
        dwelled(subject, uuid4(), 60, entered_at=at(300)),
    )

    items = (await read(limit=2))["items"]

    assert [item["type"] for item in items] == ["visit_dwelled", "invitation_shown"]

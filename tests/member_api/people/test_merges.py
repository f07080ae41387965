"""Joining people and taking it back, over HTTP and under contention."""

import asyncio
import random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from shared.auth import Role
from shared.identity import Identity, Namespace
from shared.ids import birth_person_id
from tests.conftest import Tokens
from tests.member_api.conftest import Known, Tell, key
from tests.member_api.events import app_user, at, check_in, redeemed, visit

pytestmark = pytest.mark.slow


async def merge(
    member: httpx.AsyncClient, headers: dict[str, str], one: UUID, other: UUID, **more: Any
) -> httpx.Response:
    people = [{"person_id": str(birth_person_id(subject))} for subject in (one, other)]
    body = {"people": people, "evidence": "showed both at the till"} | more
    return await member.post("/v1/people/merge", json=body, headers=headers | key())


async def undo(member: httpx.AsyncClient, headers: dict[str, str], merge_id: str) -> Any:
    response = await member.post(f"/v1/merges/{merge_id}/undo", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def everything(
    member: httpx.AsyncClient, headers: dict[str, str], *subjects: UUID
) -> list[Any]:
    """All that can be read of people but for the ledger's own history."""
    seen = []
    for subject in subjects:
        base = f"/v1/people/{birth_person_id(subject)}"
        for path in ("", "/timeline?limit=500", "/consents"):
            response = await member.get(base + path, headers=headers)
            assert response.status_code == 200, response.text
            seen.append(response.json())
    return seen


@pytest.fixture
async def two(known: Known, tell: Tell) -> tuple[UUID, UUID]:
    """Two people, each with a life of its own."""
    one = await known(app_user("1"))
    other = await known(Identity(Namespace.PHONE, "", "+8613800138000"))
    await tell(
        check_in(one, time=at(0)),
        visit("visit_entered", one, uuid4(), at(0)),
        check_in(other, time=at(10)),
        redeemed(other, uuid4(), time=at(20)),
    )
    return one, other


async def test_merged_people_answer_to_both_ids_with_everything_of_both(
    member: httpx.AsyncClient, server: dict[str, str], two: tuple[UUID, UUID]
) -> None:
    response = await merge(member, server, *two)

    assert response.status_code == 201, response.text
    survivor = min(map(birth_person_id, two))
    absorbed = max(map(birth_person_id, two))
    assert response.json()["person_id"] == str(survivor)
    present = (await member.get(f"/v1/people/{survivor}", headers=server)).json()
    former = (await member.get(f"/v1/people/{absorbed}", headers=server)).json()
    assert present["merged_into"] is None
    assert former == present | {"merged_into": str(survivor)}
    assert present["traits"]["check_ins"] == 2
    assert present["lifecycle"] == "customer"
    assert {one["namespace"] for one in present["identities"]} == {"app_user", "phone"}
    items = (await member.get(f"/v1/people/{survivor}/timeline", headers=server)).json()["items"]
    assert [item["type"] for item in items] == [
        "coupon_redeemed",
        "check_in",
        *sorted(["visit_entered", "check_in"], key=lambda kind: items_id(items, kind, at(0))),
    ]


def items_id(items: list[Any], kind: str, time: Any) -> str:
    """Sorts equal moments as the timeline does: by id, the highest first."""
    moment = time.isoformat().replace("+00:00", "Z")
    found = [one["id"] for one in items if one["type"] == kind and one["occurred_at"] == moment]
    return "".join(chr(0x10FFFF - ord(letter)) for letter in found[0])


async def test_merge_then_undo_is_the_identity(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, two: tuple[UUID, UUID]
) -> None:
    before = await everything(member, server, *two)

    merged = (await merge(member, server, *two)).json()
    between = check_in(two[0], time=at(500))
    await tell(between)
    undone = await undo(member, server, merged["merge_id"])

    assert undone["undone_at"] is not None
    after = await everything(member, server, *two)
    assert after[3:] == before[3:]
    assert after[0]["traits"]["check_ins"] == before[0]["traits"]["check_ins"] + 1
    assert after[1]["items"][0]["id"] == between["id"]
    assert after[1]["items"][1:] == before[1]["items"]


async def test_undoing_twice_changes_nothing_more(
    member: httpx.AsyncClient, server: dict[str, str], two: tuple[UUID, UUID]
) -> None:
    merged = (await merge(member, server, *two)).json()

    first = await undo(member, server, merged["merge_id"])
    second = await undo(member, server, merged["merge_id"])

    assert second == first


async def test_an_undo_takes_back_its_own_edge_only(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    a, b, c = [await known(app_user(name)) for name in "abc"]
    first = (await merge(member, server, a, b)).json()
    await merge(member, server, b, c)

    await undo(member, server, first["merge_id"])

    persons = [seen["person_id"] for seen in await everything(member, server, a, b, c)
               if "person_id" in seen]  # fmt: skip
    assert persons[0] == str(birth_person_id(a))
    assert persons[1] == persons[2] == str(min(map(birth_person_id, (b, c))))


async def test_overlapping_visits_of_one_person_are_one_visit(
    member: httpx.AsyncClient, server: dict[str, str], known: Known, tell: Tell
) -> None:
    phone, app = await known(app_user("phone")), await known(app_user("app"))
    await tell(
        visit("visit_exited", phone, uuid4(), at(0), at(30)),
        visit("visit_exited", app, uuid4(), at(20), at(50)),
        visit("visit_exited", app, uuid4(), at(90), at(95)),
    )

    await merge(member, server, phone, app)

    traits = (await everything(member, server, phone))[0]["traits"]
    assert (traits["visits"], traits["visits_by_store"]) == (2, {"s1": 2})


async def test_two_member_numbers_are_refused_unless_somebody_knows_better(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    one = await known(Identity(Namespace.MEMBER_NO, "", "1001"))
    other = await known(Identity(Namespace.MEMBER_NO, "", "1002"))

    refused = await merge(member, server, one, other)
    forced = await merge(member, server, one, other, override=True)

    assert (refused.status_code, refused.json()["reason"]) == (409, "unique_namespace")
    assert refused.json()["type"] == "/problems/merge-refused"
    assert forced.status_code == 201
    assert forced.json()["overrides"] == "unique_namespace"
    assert forced.json()["actor"] == "server:test"


async def test_a_refusal_is_remembered_under_its_key(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    one = await known(Identity(Namespace.MEMBER_NO, "", "1001"))
    other = await known(Identity(Namespace.MEMBER_NO, "", "1002"))
    people = [{"person_id": str(birth_person_id(subject))} for subject in (one, other)]
    body, headers = {"people": people, "evidence": "e"}, server | key()

    answers = [await member.post("/v1/people/merge", json=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["content-type"] == "application/problem+json"


async def test_the_same_merge_request_again_gets_the_same_answer(
    member: httpx.AsyncClient, server: dict[str, str], two: tuple[UUID, UUID]
) -> None:
    people = [{"person_id": str(birth_person_id(subject))} for subject in two]
    body, headers = {"people": people, "evidence": "e"}, server | key()

    first = await member.post("/v1/people/merge", json=body, headers=headers)
    again = await member.post("/v1/people/merge", json=body, headers=headers)
    with_new_key = await member.post("/v1/people/merge", json=body, headers=server | key())
    other_body = await member.post(
        "/v1/people/merge", json=body | {"evidence": "f"}, headers=headers
    )

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert with_new_key.json()["type"] == "/problems/already-one-person"
    assert other_body.json()["type"] == "/problems/key_reused"


@pytest.mark.slow
async def test_a_person_grows_by_at_most_twenty_merges(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    subjects = [await known(app_user(str(number))) for number in range(22)]

    answers = [await merge(member, server, subjects[0], other) for other in subjects[1:]]

    assert [answer.status_code for answer in answers] == [201] * 20 + [409]
    assert answers[-1].json()["reason"] == "too_many_merges"


@pytest.mark.slow
async def test_concurrent_merges_and_undos_leave_the_cache_equal_to_the_ledger(
    member: httpx.AsyncClient,
    server: dict[str, str],
    known: Known,
    tell: Tell,
    database: asyncpg.Connection,
) -> None:
    subjects = [await known(app_user(str(number))) for number in range(8)]
    chance = random.Random(7)

    async def one_round(number: int) -> int:
        response = await merge(member, server, *chance.sample(subjects, 2))
        await tell(redeemed(subjects[number % 8], uuid4()))
        if response.status_code == 201 and number % 3 == 0:
            await undo(member, server, response.json()["merge_id"])
        return response.status_code

    statuses = await asyncio.gather(*map(one_round, range(24)))

    assert set(statuses) <= {201, 409}
    rows = await database.fetch(
        "SELECT subject_id, birth_person_id, person_id FROM member.subjects"
    )
    edges = await database.fetch(
        "SELECT subject_a, subject_b FROM member.merges WHERE undone_at IS NULL"
    )
    component = {row["subject_id"]: {row["subject_id"]} for row in rows}
    for edge in edges:
        whole = component[edge["subject_a"]] | component[edge["subject_b"]]
        component |= dict.fromkeys(whole, whole)
    births = {row["subject_id"]: row["birth_person_id"] for row in rows}
    expected = {subject: min(births[one] for one in component[subject]) for subject in births}
    assert {row["subject_id"]: row["person_id"] for row in rows} == expected


async def test_nobody_merges_with_a_stranger(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    one = await known(app_user("1"))
    body = {
        "people": [
            {"person_id": str(birth_person_id(one))},
            {"identity": {"namespace": "app_user", "issuer": "demo", "value": "nobody"}},
        ],
        "evidence": "e",
    }

    response = await member.post("/v1/people/merge", json=body, headers=server | key())

    assert response.status_code == 404


async def test_the_ledger_and_the_reviews_are_listed_in_pages(
    member: httpx.AsyncClient, tokens: Tokens, server: dict[str, str], known: Known
) -> None:
    subjects = [await known(app_user(str(number))) for number in range(4)]
    for other in subjects[1:]:
        await merge(member, server, subjects[0], other)
    marketer = tokens(Role.MARKETER)

    first = (await member.get("/v1/merges?limit=2", headers=marketer)).json()
    rest = (
        await member.get(f"/v1/merges?limit=2&cursor={first['next_cursor']}", headers=marketer)
    ).json()
    of_one = await member.get(
        "/v1/merges", params={"person_id": str(birth_person_id(subjects[3]))}, headers=marketer
    )

    ids = [entry["merge_id"] for entry in first["items"] + rest["items"]]
    assert (len(ids), ids) == (3, sorted(ids, reverse=True))
    assert rest["next_cursor"] is None
    assert [entry["merge_id"] for entry in of_one.json()["items"]] == ids
    assert (await member.get("/v1/merge-reviews", headers=marketer)).json()["items"] == []

"""Interactions come in once, in any order, and a bad one harms no other."""

import asyncio
import itertools
import random
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from shared.identity import Identity, Namespace
from shared.ids import birth_person_id
from tests.member_api.conftest import Known, Tell
from tests.member_api.events import (
    CONSENT,
    app_user,
    at,
    check_in,
    dwelled,
    event,
    observed,
    redeemed,
    reversed_,
    visit,
)

pytestmark = pytest.mark.slow


async def person(member: httpx.AsyncClient, server: dict[str, str], subject: UUID) -> Any:
    response = await member.get(f"/v1/people/{birth_person_id(subject)}", headers=server)
    assert response.status_code == 200, response.text
    return response.json()


async def timeline(member: httpx.AsyncClient, server: dict[str, str], subject: UUID) -> Any:
    path = f"/v1/people/{birth_person_id(subject)}/timeline?limit=500"
    response = await member.get(path, headers=server)
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def test_a_check_in_makes_a_person_with_its_timeline(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    subject = uuid4()
    told = check_in(subject, time=at(0), store_id="s1")

    (result,) = await tell(told)

    assert result == {"id": told["id"], "status": "applied", "reason": None}
    profile = await person(member, server, subject)
    assert (profile["person_id"], profile["lifecycle"]) == (str(birth_person_id(subject)), "fan")
    assert profile["traits"]["check_ins"] == 1
    assert profile["traits"]["first_seen_at"] == "2026-11-20T09:00:00Z"
    (item,) = await timeline(member, server, subject)
    assert item["id"] == told["id"]
    assert (item["type"], item["store_id"]) == ("check_in", "s1")
    assert item["data"] == told["data"]


async def test_an_event_told_twice_counts_once(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    subject = uuid4()
    told = check_in(subject)

    in_one_batch = await tell(told, told)
    again = await tell(told)

    assert [one["status"] for one in in_one_batch] == ["applied", "duplicate"]
    assert [one["status"] for one in again] == ["duplicate"]
    assert (await person(member, server, subject))["traits"]["check_ins"] == 1
    assert len(await timeline(member, server, subject)) == 1


def story(subject: UUID) -> list[dict[str, Any]]:
    """Check-ins; visits amended, ceased, come back and reopened; money and its return."""
    first, ceased, reopened, back = uuid4(), uuid4(), uuid4(), uuid4()
    kept, returned = uuid4(), uuid4()
    return [
        check_in(subject, time=at(0)),
        check_in(subject, time=at(90), store_id="s2"),
        visit("visit_entered", subject, first, at(0)),
        visit("visit_entered", subject, first, at(-5), revision=2),
        visit("visit_exited", subject, first, at(0), at(30)),
        visit("visit_exited", subject, first, at(-5), at(30), revision=2),
        visit("visit_entered", subject, ceased, at(-500), store_id="s2"),
        visit("visit_entered", subject, ceased, at(-500), store_id="s2", revision=2, retracted=True),
        visit("visit_entered", subject, back, at(40), store_id="s3"),
        visit("visit_entered", subject, back, at(40), store_id="s3", revision=2, retracted=True),
        visit("visit_entered", subject, back, at(41), store_id="s3", revision=3),
        visit("visit_entered", subject, reopened, at(90), store_id="s2"),
        visit("visit_expired", subject, reopened, at(90), at(91), store_id="s2"),
        visit(
            "visit_expired", subject, reopened, at(90), at(91),
            store_id="s2", revision=2, retracted=True,
        ),
        visit("visit_exited", subject, reopened, at(90), at(120), store_id="s2", revision=2),
        dwelled(subject, first, 300, entered_at=at(0)),
        dwelled(subject, first, 300, entered_at=at(-5), revision=2),
        dwelled(subject, first, 1200, entered_at=at(-5), revision=2),
        dwelled(subject, first, 3600, entered_at=at(0)),
        dwelled(subject, first, 3600, entered_at=at(0), revision=2, retracted=True),
        dwelled(subject, ceased, 300, entered_at=at(-500), store_id="s2"),
        dwelled(subject, ceased, 300, entered_at=at(-500), store_id="s2", revision=2, retracted=True),
        redeemed(subject, kept, time=at(20)),
        redeemed(subject, returned, time=at(10), amount_minor=900),
        reversed_(subject, returned, time=at(25)),
        event("coupon_granted", subject, "c1", time=at(1), store_id="s1"),
    ]  # fmt: skip


EXPECTED_TRAITS = {
    "first_seen_at": "2026-11-20T08:55:00Z",
    "last_seen_at": "2026-11-20T11:00:00Z",
    "check_ins": 2,
    "visits": 3,
    "visits_by_store": {"s1": 1, "s2": 1, "s3": 1},
    "dwells_by_store": {"s1": 1},
    "coupons_granted": 1,
    "redemptions": 1,
    "spend_minor": {"CNY": 4200},
    "acquisition": {
        "channel": "visit",
        "account_id": None,
        "store_id": "s1",
        "scene": None,
        "campaign": None,
        "kol": None,
        "at": "2026-11-20T08:55:00Z",
    },
    "last_touch": None,
    "follows": [],
    "messages": {"sent": 0, "delivered": 0, "failed": 0, "dropped": 0},
}


@pytest.mark.parametrize("seed", range(12))
async def test_the_order_of_arrival_does_not_matter(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, seed: int
) -> None:
    subject = uuid4()
    facts = story(subject)
    chance = random.Random(seed)
    arriving = facts + chance.sample(facts, 6)
    if seed:
        chance.shuffle(arriving)
    while arriving:
        batch = [arriving.pop(0) for _ in range(min(chance.randint(1, 7), len(arriving)))]
        await tell(*batch)

    profile = await person(member, server, subject)

    assert profile["traits"] == EXPECTED_TRAITS
    assert [(change["to"], change["at"]) for change in profile["lifecycle_changes"]] == [
        ("customer", "2026-11-20T09:20:00Z")
    ]
    items = await timeline(member, server, subject)
    live = [fact for fact in facts if not fact["retracted"]]
    superseded = {(f["id"], f["revision"] - 1) for f in facts if f["revision"] > 1}
    standing = [fact for fact in live if (fact["id"], fact["revision"]) not in superseded]
    newest_first = sorted(standing, key=lambda f: (f["time"], f["id"]), reverse=True)
    assert [item["id"] for item in items] == [fact["id"] for fact in newest_first]


async def test_concurrent_batches_of_the_same_events_apply_each_once(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    subjects = [uuid4() for _ in range(20)]
    events = [
        check_in(subject, time=at(minute))
        for subject, minute in itertools.product(subjects, range(5))
    ]
    shuffled = [random.Random(seed).sample(events, len(events)) for seed in range(6)]

    results = await asyncio.gather(*(tell(*batch) for batch in shuffled))

    applied = [one["id"] for batch in results for one in batch if one["status"] == "applied"]
    assert sorted(applied) == sorted(told["id"] for told in events)
    for subject in subjects:
        assert (await person(member, server, subject))["traits"]["check_ins"] == 5


BAD = {
    "not_an_object": "no event",
    "unknown_type": event("moonwalk", uuid4(), "1"),
    "not_for_this_service": event("audience_changed", uuid4(), "audience"),
    "unknown_schema_version": check_in(uuid4()) | {"schemaversion": 2},
    "missing_subject": check_in(uuid4()) | {"subject": None},
    "missing_data": check_in(uuid4()) | {"data": None},
    "bad_subject": check_in(uuid4()) | {"subject": "42"},
    "bad_time": check_in(uuid4()) | {"time": "2026-11-20T09:00:00"},
    "bad_received_at": check_in(uuid4()) | {"received_at": "0001-01-01T00:00:00+14:00"},
    "bad_revision": check_in(uuid4()) | {"revision": 0},
    "bad_visit_id": event("visit_entered", uuid4(), "1", store_id="s1"),
    "missing_store_id": event("visit_entered", uuid4(), "1", data={"visit_id": str(uuid4())}),
    "bad_dwell_s": dwelled(uuid4(), uuid4(), 60) | {"data": {"visit_id": str(uuid4())}},
    "bad_left_at": event(
        "visit_exited", uuid4(), "1", store_id="s1",
        data={"visit_id": str(uuid4()), "entered_at": "2026-11-20T09:00:00Z"},
    ),
    "bad_order_amount": event(
        "coupon_redeemed", uuid4(), "1",
        data={"redemption_id": str(uuid4()), "order_amount_minor": 1.5, "currency": "CNY"},
    ),
    "box_does_not_open": event("identity_observed", uuid4(), "1", data={"sealed": "AAAA"}),
    "not_storable_22P05": check_in(uuid4(), note="\0"),
}  # fmt: skip

FAULTY = {
    "type is no text": (check_in(uuid4()) | {"type": []}, "unknown_type"),
    "no consent": (check_in(uuid4(), consent=None), "missing_consent"),
    "consent to something else": (
        check_in(uuid4(), consent=CONSENT | {"purpose": "marketing_push"}), "missing_consent",
    ),
    "consent to no version": (
        check_in(uuid4(), consent=CONSENT | {"version": ""}), "missing_consent",
    ),
    "consent at no time": (
        check_in(uuid4(), consent=CONSENT | {"given_at": None}), "missing_consent",
    ),
}  # fmt: skip


async def test_a_bad_event_is_refused_alone_and_says_why(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    good = [check_in(uuid4()) for _ in BAD]

    results = await tell(*itertools.chain(*zip(BAD.values(), good, strict=True)), refused=True)

    assert [one["reason"] for one in results[::2]] == list(BAD)
    assert {one["status"] for one in results[::2]} == {"refused"}
    assert {one["status"] for one in results[1::2]} == {"applied"}


@pytest.mark.parametrize("fault", FAULTY)
async def test_a_faulty_event_does_not_break_its_reader(tell: Tell, fault: str) -> None:
    told, reason = FAULTY[fault]

    bad, good = await tell(told, check_in(uuid4()), refused=True)

    assert (bad["status"], bad["reason"], good["status"]) == ("refused", reason, "applied")


async def test_an_entry_that_speaks_of_leaving_is_still_an_entry(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    subject, entered = uuid4(), visit("visit_entered", uuid4(), uuid4(), at(0))
    told = event(
        "visit_entered", subject, "1", store_id="s1", data=entered["data"] | {"left_at": None}
    )

    await tell(told)

    assert (await person(member, server, subject))["traits"]["visits"] == 1


async def test_an_observed_identity_is_found_by_its_value(
    member: httpx.AsyncClient, server: dict[str, str], known: Known
) -> None:
    subject = await known(Identity(Namespace.PHONE, "", "+8613800138000"))

    response = await member.get(
        "/v1/people",
        params={"namespace": "phone", "value": "0086 138-0013-8000"},
        headers=server,
    )

    assert response.json()["person_id"] == str(birth_person_id(subject))
    assert response.json()["identities"] == [
        {"namespace": "phone", "issuer": "", "value": "+8613800138000", "verified": True}
    ]


async def test_a_box_with_anothers_identity_is_refused(
    tell: Tell, installation_keys: Path, subject_of: Any
) -> None:
    told = observed(installation_keys, app_user("1")) | {"subject": str(subject_of(app_user("2")))}

    (result,) = await tell(told, refused=True)

    assert result["reason"] == "identity_of_another_subject"


async def test_a_store_names_itself_in_the_timeline_by_its_latest_version(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    subject = uuid4()

    def store(name: str, revision: int) -> dict[str, Any]:
        data = {"store_id": "s1", "name": name, "tags": ["airport"]}
        return event("store_changed", None, "s1", store_id="s1", revision=revision, data=data)

    await tell(store("First", 1), check_in(subject))
    await tell(store("New", 3), check_in(subject))
    await tell(store("Old", 2))

    names = [item["store_name"] for item in await timeline(member, server, subject)]
    assert names == ["New", "New"]


async def test_a_poisoned_batch_leaves_no_trace_of_the_poison(
    tell: Tell, database: asyncpg.Connection
) -> None:
    poison = check_in(uuid4(), note="\0")

    await tell(check_in(uuid4()), poison, check_in(uuid4()), refused=True)

    assert await database.fetchval("SELECT count(*) FROM member.inbox") == 2
    assert await database.fetchval("SELECT count(*) FROM member.subjects") == 2


async def test_only_the_other_service_may_tell_interactions(
    member: httpx.AsyncClient, server: dict[str, str]
) -> None:
    response = await member.post(
        "/v1/interactions/batch", json={"events": [check_in(uuid4())]}, headers=server
    )

    assert response.status_code == 403

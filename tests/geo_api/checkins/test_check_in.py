"""One check-in over HTTP: what is answered, what is kept, what a repeat gets."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from shared.auth import Role, mint
from shared.contracts.events import ConsentReceipt, Purpose
from shared.identity import Namespace, normalise, subject_id
from tests.conftest import DatabaseUrls, Tokens
from tests.geo_api.checkins.helpers import LAT, LON, ago, body, known, north, person
from tests.geo_api.checkins.tables import rows

PATH = "/v1/check-ins"


def subject_of(app: FastAPI, value: str) -> UUID:
    identity = normalise(Namespace.APP_USER, "demo", value)
    return subject_id(app.state.keys.identity, identity)


async def test_a_check_in_at_a_store_opens_a_visit_and_invites(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body()
    response = await geo.post(PATH, json=sent, headers=server)
    answer = response.json()
    assert response.status_code == 201
    trust = {"score": 100, "signals": []}
    told = {"id": sent["id"], "status": "accepted", "reason": None, "trust": trust}
    assert answer["check_in"] == told
    [match] = answer["matches"]
    assert (match["store_id"], match["inside"], match["transition"]) == ("s1", True, "enter")
    assert match["distance_m"] == pytest.approx(-100, abs=0.01)
    assert (match["overlap"], match["confidence"]) == (1.0, 3)
    [visit] = answer["visits"]
    assert (visit["store_id"], visit["state"]) == ("s1", "open")
    assert answer["invitation"]["url"].endswith(answer["invitation"]["token"])
    assert "decisions" not in answer


async def test_a_repeat_gets_the_same_bytes_and_changes_nothing(
    geo: httpx.AsyncClient, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    sent = body()
    first = await geo.post(PATH, json=sent, headers=server)
    before = await rows(database_urls)
    repeat = await geo.post(PATH, json=sent, headers=server)
    assert (first.status_code, repeat.status_code) == (201, 200)
    assert repeat.content == first.content
    assert await rows(database_urls) == before


async def test_the_same_id_with_another_body_is_refused(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body()
    await geo.post(PATH, json=sent, headers=server)
    response = await geo.post(PATH, json={**sent, "accuracy_m": 11}, headers=server)
    assert response.status_code == 409
    assert response.json()["type"] == "/problems/key_reused"


async def test_two_people_may_use_the_same_id(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body(subject=person("one"))
    answers = [
        await geo.post(PATH, json={**sent, "subject": person(who)}, headers=server)
        for who in ("one", "two")
    ]
    assert [answer.status_code for answer in answers] == [201, 201]


async def test_explain_adds_the_decisions_also_to_a_repeat(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body()
    for _ in range(2):
        response = await geo.post(PATH, params={"explain": True}, json=sent, headers=server)
        assert response.json()["decisions"] == []


async def test_without_consent_the_answer_is_given_and_nothing_is_kept(
    geo: httpx.AsyncClient, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    before = await rows(database_urls)
    sent = body(consent=None)
    response = await geo.post(PATH, json=sent, headers=server)
    answer = response.json()
    assert response.status_code == 200
    assert answer["check_in"]["status"] == "not_recorded"
    assert answer["check_in"]["reason"] == "no_consent"
    assert [match["store_id"] for match in answer["matches"]] == ["s1"]
    assert answer["visits"] == answer["coupons"] == []
    assert await rows(database_urls) == before
    accepted = await geo.post(
        PATH, json=body(id=sent["id"], subject=sent["subject"]), headers=server
    )
    assert accepted.status_code == 201


async def test_a_vouch_for_another_purpose_is_none(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    consent = {"purpose": "locate_now", "version": "1", "given_at": "2026-11-20T09:00:00Z"}
    response = await geo.post(PATH, json=body(consent=consent), headers=server)
    assert response.json()["check_in"]["reason"] == "no_consent"


async def test_coordinates_are_kept_encrypted_only(
    geo: httpx.AsyncClient, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    odd = LAT + 0.000123456
    response = await geo.post(PATH, json=body(latitude=odd), headers=server)
    assert response.status_code == 201
    dump = str(await rows(database_urls, whole=True))
    assert "0.742023" not in dump
    assert str(odd)[:9] not in dump.replace(str(LAT), "")


async def test_a_fix_outside_ends_the_visit_and_names_the_fence_it_left(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("walker")
    await geo.post(PATH, json=body(subject=who, occurred_at=ago(minutes=4)), headers=server)
    response = await geo.post(PATH, json=body(subject=who, latitude=north(500)), headers=server)
    answer = response.json()
    [match] = answer["matches"]
    assert (match["store_id"], match["inside"], match["transition"]) == ("s1", False, "exit")
    assert match["distance_m"] == pytest.approx(400, rel=0.01)
    [visit] = answer["visits"]
    assert (visit["state"], visit["closed_by"]) == ("exited", "left")


async def test_a_fix_near_the_edge_keeps_the_state(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("loiterer")
    await geo.post(PATH, json=body(subject=who, occurred_at=ago(minutes=4)), headers=server)
    response = await geo.post(PATH, json=body(subject=who, latitude=north(115)), headers=server)
    assert response.json()["visits"] == []
    visits = await geo.get("/v1/visits", headers=server)
    assert [visit["store_id"] for visit in visits.json()["items"]] == ["s1"]


async def test_a_fix_too_old_to_matter_changes_visits_and_invites_nobody(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    response = await geo.post(PATH, json=body(occurred_at=ago(minutes=11)), headers=server)
    assert response.status_code == 201
    assert response.json()["invitation"] is None
    assert len(response.json()["visits"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"occurred_at": ago(hours=-6)}, "/occurred_at"),  # as of the start of the whole run
        ({"occurred_at": "2026-11-23"}, "/occurred_at"),
        ({"occurred_at": "1999-12-31T00:00:00Z"}, "/occurred_at"),
        ({"latitude": 91}, "/latitude"),
        ({"latitude": LON, "longitude": LAT}, "/latitude"),
        ({"latitude": 0, "longitude": 0}, "/latitude"),
        ({"accuracy_m": -1}, "/accuracy_m"),
        ({"accuracy_m": None}, "/accuracy_m"),
        ({"datum": "mars"}, "/datum"),
        ({"subject": None}, "/subject"),
        ({"subject": person("null")}, "/subject/value"),
        ({"subject": {"namespace": "phone", "value": "13800138000"}}, "/subject/value"),
        ({"id": "not-a-uuid"}, "/id"),
        ({"kind": "teleport"}, "/kind"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    database_urls: DatabaseUrls,
    changes: dict[str, Any],
    pointer: str,
) -> None:
    before = await rows(database_urls)
    response = await geo.post(PATH, json=body(**changes), headers=server)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert pointer in [fault["pointer"] for fault in response.json()["errors"]]
    assert await rows(database_urls) == before


async def test_a_datum_is_converted_on_the_way_in(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    headers = tokens("server")
    store = {
        "name": "上海店",
        "latitude": 31.2304,
        "longitude": 121.4737,
        "timezone": "Asia/Shanghai",
    }
    await geo.put("/v1/stores/sh", json=store, headers=headers)
    geometry = {"type": "Circle", "coordinates": [121.4737, 31.2304], "radius_m": 100}
    fence = {"store_id": "sh", "datum": "wgs84", "geometry": geometry}
    await geo.put("/v1/geofences/sh", json=fence, headers=headers)
    await known(geo_app, "sh")
    shifted = {"latitude": 31.228458, "longitude": 121.478222}
    seen = {
        datum: (await geo.post(PATH, json=body(**shifted, datum=datum), headers=headers)).json()
        for datum in ("wgs84", "gcj02")
    }
    assert seen["wgs84"]["matches"] == []
    assert [match["store_id"] for match in seen["gcj02"]["matches"]] == ["sh"]


async def test_a_member_checks_in_as_itself_with_a_consent_receipt(
    geo: httpx.AsyncClient, geo_app: FastAPI, member_app: FastAPI, server: dict[str, str]
) -> None:
    named = {"subject": person("member")}
    session = await geo.post("/v1/sessions", json=named, headers=server)
    headers = {"Authorization": f"Bearer {session.json()['token']}"}
    own = body()
    del own["subject"], own["consent"]
    unconsented = await geo.post(PATH, json=own, headers=headers)
    assert unconsented.json()["check_in"]["status"] == "not_recorded"
    receipt = ConsentReceipt(
        sub=subject_of(geo_app, "member"),
        purpose=Purpose.VISIT_HISTORY,
        version="1",
        given_at=geo_app.state.clock(),
    )
    signing = member_app.state.keys.signing
    token = mint(signing, receipt.model_dump(mode="json"), 60)
    allowed = await geo.post(PATH, json={**own, "consent_receipt": token}, headers=headers)
    assert allowed.status_code == 201
    stolen = body(subject=person("thief"), consent=None, consent_receipt=token)
    assert (await geo.post(PATH, json=stolen, headers=server)).status_code == 422


async def test_a_member_cannot_name_somebody_or_vouch_for_itself(
    geo: httpx.AsyncClient, server: dict[str, str], tokens: Tokens
) -> None:
    headers = tokens("member", subject_id=uuid4())
    for field in ("subject", "consent"):
        own = body()
        del own["consent" if field == "subject" else "subject"]
        response = await geo.post(PATH, json=own, headers=headers)
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.slow
@pytest.mark.parametrize("role", [Role.MARKETER, Role.STAFF, Role.SERVICE])
async def test_other_roles_do_not_check_in(
    geo: httpx.AsyncClient, server: dict[str, str], tokens: Tokens, role: Role
) -> None:
    headers = tokens(role, store_id="s1")
    response = await geo.post(PATH, json=body(), headers=headers)
    assert response.status_code in (401, 403)


async def test_a_group_takes_the_same_number_of_statements_whatever_its_size(
    geo: httpx.AsyncClient, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, str]] = []
    fetch = asyncpg.Connection.fetch

    async def note(driver: Any, sql: str, *values: Any) -> Any:
        if "subject" in sql:
            seen.append((id(driver), sql))
        return await fetch(driver, sql, *values)

    monkeypatch.setattr(asyncpg.Connection, "fetch", note)
    counts = []
    for size in (1, 40):
        seen.clear()
        lines = [body() for _ in range(size)]
        response = await geo.post(f"{PATH}/batch", json=lines, headers=server)
        assert response.text.count('"http_status":201') == size
        [committing] = {lane for lane, sql in seen if "INSERT INTO geo.check_ins" in sql}
        counts.append(sum(lane == committing for lane, _ in seen))
    assert counts == [4, 4]

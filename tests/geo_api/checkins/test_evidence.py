"""Check-ins by codes, beacons, staff and purchases, and by coordinates of lesser worth."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from shared.identity import Namespace, normalise, subject_id
from tests.conftest import DatabaseUrls, Tokens
from tests.geo_api.checkins.helpers import LON, ago, body, north, open_store, person
from tests.geo_api.checkins.tables import rows

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"
CODE = "/v1/stores/s1/check-in-code"
BEACON = {"uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e", "major": 1, "minor": 2}
COORDINATES = ("latitude", "longitude", "accuracy_m")


def by(kind: str, evidence: dict[str, Any] | None, **changes: Any) -> dict[str, Any]:
    """A check-in by evidence, without coordinates."""
    sent = {**body(), "kind": kind, "evidence": evidence}
    return {**{name: value for name, value in sent.items() if name not in COORDINATES}, **changes}


async def code(geo: httpx.AsyncClient, headers: dict[str, str], form: str = "screen") -> str:
    shown = await geo.get(CODE, params={"form": form}, headers=headers)
    return str(shown.json()["code"])


def later(app: FastAPI, **by: float) -> None:
    """Set the service's clock ahead."""
    clock = app.state.clock
    app.state.clock = lambda: clock() + timedelta(**by)


@pytest.mark.parametrize(
    ("form", "evidence", "confidence"), [("screen", "store_qr", 3), ("printed", "printed_qr", 2)]
)
async def test_a_scanned_code_opens_a_visit_without_coordinates(
    geo: httpx.AsyncClient, server: dict[str, str], form: str, evidence: str, confidence: int
) -> None:
    sent = by("store_qr", {"code": await code(geo, server, form)})
    response = await geo.post(PATH, json=sent, headers=server)
    assert response.status_code == 201, response.text
    answer = response.json()
    [match] = answer["matches"]
    assert match == {
        "store_id": "s1",
        "geofence_id": None,
        "geofence_version": None,
        "inside": True,
        "distance_m": None,
        "overlap": None,
        "share": None,
        "confidence": confidence,
        "evidence": evidence,
        "transition": "enter",
    }
    [visit] = answer["visits"]
    assert (visit["store_id"], visit["state"]) == ("s1", "open")
    assert answer["check_in"]["trust"] == {"score": 100, "signals": []}
    assert answer["invitation"] is not None


async def test_many_people_scan_one_screen(geo: httpx.AsyncClient, server: dict[str, str]) -> None:
    shown = {"code": await code(geo, server)}
    answers = await asyncio.gather(
        *(geo.post(PATH, json=by("store_qr", shown), headers=server) for _ in range(5))
    )
    assert [answer.status_code for answer in answers] == [201] * 5


async def test_with_coordinates_too_both_count_and_a_far_fix_speaks_against_it(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    shown = {"code": await code(geo, server)}
    near = await geo.post(PATH, json={**body(), **by("store_qr", shown)}, headers=server)
    assert [m["evidence"] for m in near.json()["matches"]] == ["store_qr", "gps"]
    assert near.json()["check_in"]["trust"]["signals"] == []
    edge = {**body(latitude=north(99), accuracy_m=60), **by("store_qr", shown)}
    why = (await geo.post(PATH, params={"explain": True}, json=edge, headers=server)).json()
    assert [c["reason"] for c in why["considered"]] == ["overlap_too_small"]
    remote = {**body(latitude=north(5_000)), **by("store_qr", shown)}
    far = await geo.post(PATH, params={"explain": True}, json=remote, headers=server)
    answer = far.json()
    assert answer["visits"][0]["store_id"] == "s1"
    assert answer["check_in"]["trust"] == {"score": 40, "signals": ["far_from_evidence"]}
    [doubt] = answer["doubts"]
    assert doubt["distance_m"] == pytest.approx(4_900, rel=0.01)
    assert doubt["weight"] == 60


async def test_an_old_code_is_refused_and_a_repeat_gets_its_first_answer(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    shown = {"code": await code(geo, server)}
    sent = by("store_qr", shown)
    first = await geo.post(PATH, json=sent, headers=server)
    later(geo_app, seconds=61)
    before = await rows(database_urls)
    refused = await geo.post(PATH, json=by("store_qr", shown), headers=server)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/code_expired")
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/evidence/code"]
    repeat = await geo.post(PATH, json=sent, headers=server)
    assert (repeat.status_code, repeat.content) == (200, first.content)
    assert await rows(database_urls) == before


async def test_a_code_of_now_does_not_prove_the_past(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = by("store_qr", {"code": await code(geo, server)}, occurred_at=ago(minutes=20))
    response = await geo.post(PATH, json=sent, headers=server)
    assert response.json()["type"] == "/problems/code_expired"


async def test_a_revoked_print_is_refused_by_its_name(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    printed = {"code": await code(geo, server, "printed")}
    await geo.post(f"{CODE}/rotate", json={"edition": 1}, headers=server)
    async with asyncio.timeout(5):
        while geo_app.state.fences.current.stores["s1"].code_edition != 2:
            await asyncio.sleep(0.005)
    refused = await geo.post(PATH, json=by("store_qr", printed), headers=server)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/code_revoked")
    fresh = {"code": await code(geo, server, "printed")}
    assert (await geo.post(PATH, json=by("store_qr", fresh), headers=server)).status_code == 201


async def test_guessing_codes_comes_to_an_end_for_the_guesser_alone(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("guesser")
    kinds = set()
    for _ in range(40):
        sent = by("store_qr", {"code": "A" * 40}, subject=who)
        kinds.add((await geo.post(PATH, json=sent, headers=server)).json()["type"])
    assert kinds == {"/problems/code_unknown", "/problems/too-many-requests"}
    sent = by("store_qr", {"code": await code(geo, server)})
    assert (await geo.post(PATH, json=sent, headers=server)).status_code == 201


async def test_a_beacon_proves_the_store_at_which_it_stands(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    await geo.put("/v1/beacons/door", json={"store_id": "s1", **BEACON}, headers=server)
    lines = [
        by("beacon", {"beacon": BEACON}),
        body(),
        by("beacon", {"beacon": {**BEACON, "minor": 9}}),
    ]
    response = await geo.post(f"{PATH}/batch", json=lines, headers=server)
    seen, plain, unknown = (
        httpx.Response(200, text=line).json() for line in response.text.splitlines()
    )
    assert (seen["http_status"], plain["http_status"], unknown["http_status"]) == (201, 201, 422)
    [match] = seen["matches"]
    assert (match["store_id"], match["evidence"], match["confidence"]) == ("s1", "beacon", 2)
    assert unknown["errors"][0]["pointer"] == "/evidence/beacon"


async def test_a_beacon_at_a_closed_store_proves_nothing(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    await geo.put("/v1/beacons/door", json={"store_id": "s1", **BEACON}, headers=server)
    await geo.delete("/v1/stores/s1", headers=server)
    response = await geo.post(PATH, json=by("beacon", {"beacon": BEACON}), headers=server)
    assert response.status_code == 422


async def test_a_server_vouches_for_a_purchase(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    response = await geo.post(PATH, json=by("purchase", {"store_id": "s1"}), headers=server)
    [match] = response.json()["matches"]
    assert (match["evidence"], match["confidence"]) == ("purchase", 3)
    unknown = await geo.post(PATH, json=by("purchase", {"store_id": "none"}), headers=server)
    assert unknown.json()["errors"][0]["pointer"] == "/evidence/store_id"


CONSENT = '{"visit_history": {"state": "granted", "version": "1", "at": "2026-01-01T00:00:00Z"}}'


async def consenting(
    geo: httpx.AsyncClient, app: FastAPI, server: dict[str, str]
) -> dict[str, str]:
    """Headers of a member whose consent is on record."""
    named = {"subject": person("shopper")}
    session = (await geo.post("/v1/sessions", json=named, headers=server)).json()
    identity = normalise(Namespace.APP_USER, "demo", "shopper")
    values = {
        "subject": subject_id(app.state.keys.identity, identity),
        "consents": CONSENT,
    }
    async with app.state.database.begin() as connection:
        await connection.execute(_CONSENT, values)
    return {"Authorization": f"Bearer {session['token']}"}


_CONSENT = text("""
    UPDATE geo.subjects SET consents = CAST(CAST(:consents AS text) AS jsonb)
    WHERE subject_id = :subject
""")


async def test_staff_check_a_member_in_by_the_code_on_its_phone(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], tokens: Tokens
) -> None:
    member = await consenting(geo, geo_app, server)
    shown = (await geo.get("/v1/member-code", headers=member)).json()
    assert len(shown["code"]) <= 60
    staff = tokens("staff", store_id="s1")
    sent = by("staff_scan", {"store_id": "s1", "member_code": shown["code"]})
    del sent["subject"], sent["consent"]
    response = await geo.post(PATH, json=sent, headers=staff)
    assert response.status_code == 201, response.text
    [match] = response.json()["matches"]
    assert (match["evidence"], match["confidence"]) == ("staff_scan", 3)
    later(geo_app, seconds=61)
    stale = await geo.post(PATH, json={**sent, "id": str(uuid4())}, headers=staff)
    assert stale.json()["type"] == "/problems/code_expired"
    repeat = await geo.post(PATH, json=sent, headers=staff)
    assert (repeat.status_code, repeat.content) == (200, response.content)


@pytest.mark.parametrize(
    ("role", "changes", "status"),
    [
        ("staff", {"evidence": {"store_id": "s2"}}, 403),
        ("staff", {"kind": "purchase"}, 403),
        ("staff", {"kind": "manual", "evidence": None}, 403),
        ("staff", {}, 422),  # staff do not vouch for consent
        ("staff", {"consent": None}, 200),
        ("staff", {"consent": None, "subject": None}, 422),
        ("member", {"subject": None, "consent": None}, 403),
        ("member", {"kind": "purchase", "subject": None, "consent": None}, 403),
        ("server", {}, 201),
    ],
)
async def test_who_may_speak_for_whom(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    tokens: Tokens,
    role: str,
    changes: dict[str, Any],
    status: int,
) -> None:
    headers = tokens(role, store_id="s1", subject_id=uuid4() if role == "member" else None)
    sent = {**by("staff_scan", {"store_id": "s1"}), **changes}
    response = await geo.post(PATH, json=sent, headers=headers)
    assert response.status_code == status, response.text
    line = await geo.post(f"{PATH}/batch", json=[{**sent, "id": str(uuid4())}], headers=headers)
    assert f'"http_status":{status}' in line.text


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        (body(latitude=None, accuracy_m=None), {"/latitude", "/accuracy_m"}),
        (by("store_qr", None), {"/evidence"}),
        (by("store_qr", {}), {"/evidence/code"}),
        (by("store_qr", {"store_id": "s1"}), {"/evidence/store_id", "/evidence/code"}),
        (by("store_qr", {"code": "x" * 61}), {"/evidence/code"}),
        (by("store_qr", {"code": "x"}, latitude=40.0), {"/longitude", "/accuracy_m"}),
        (by("beacon", {"beacon": {**BEACON, "major": -1}}), {"/evidence/beacon/major"}),
        (by("purchase", {"code": "x"}), {"/evidence/code", "/evidence/store_id"}),
        (body(evidence={"code": "x"}), {"/evidence"}),
        (body(location_grade="vague"), {"/location_grade"}),
    ],
)
async def test_every_field_that_is_missing_or_too_many_is_named(
    geo: httpx.AsyncClient, server: dict[str, str], sent: dict[str, Any], pointers: set[str]
) -> None:
    response = await geo.post(PATH, json=sent, headers=server)
    assert response.status_code == 422
    assert {fault["pointer"] for fault in response.json()["errors"]} == pointers


async def test_a_fuzzy_position_lists_stores_and_claims_no_visit(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body(location_grade="fuzzy", accuracy_m=50)
    answer = (await geo.post(PATH, json=sent, headers=server)).json()
    [match] = answer["matches"]
    assert (match["store_id"], match["evidence"]) == ("s1", "fuzzy")
    assert (match["inside"], match["confidence"], match["transition"]) == (False, 1, None)
    assert (answer["visits"], answer["invitation"]) == ([], None)


async def test_coordinates_end_no_visit_at_a_store_without_a_geofence(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    store = {"name": "Stall", "latitude": north(5), "longitude": LON}
    await geo.put("/v1/stores/stall", json=store, headers=server)
    who, consent = person("shopper"), {"consent": body()["consent"]}

    def paid(minutes: float) -> dict[str, Any]:
        return by("purchase", {"store_id": "stall"}, subject=who, occurred_at=ago(minutes=minutes))

    def seen(minutes: float) -> dict[str, Any]:
        return body(subject=who, latitude=north(900), occurred_at=ago(minutes=minutes)) | consent

    day = [paid(90), seen(80), paid(70), seen(60), seen(35), paid(34), seen(5)]
    for sent in (day[4], day[2], day[0], day[1], day[3], *day[5:]):
        assert (await geo.post(PATH, json=sent, headers=server)).status_code == 201
    found = await geo.get("/v1/visits", params={"state": "expired"}, headers=server)
    visits = [(v["entered_at"], v["last_inside_at"]) for v in found.json()["items"]]
    assert [[datetime.fromisoformat(t) for t in visit] for visit in visits] == [
        [datetime.fromisoformat(day[i]["occurred_at"]) for i in visit] for visit in ((0, 2),)
    ]
    found = await geo.get("/v1/visits", params={"state": "open"}, headers=server)
    assert [v["store_id"] for v in found.json()["items"]] == ["stall"]


@pytest.mark.parametrize("grade", ["fuzzy", "chosen"])
async def test_a_position_of_lesser_worth_ends_no_visit(
    geo: httpx.AsyncClient, server: dict[str, str], grade: str
) -> None:
    who = person("walker")
    await geo.post(PATH, json=body(subject=who, occurred_at=ago(minutes=4)), headers=server)
    away = body(subject=who, latitude=north(5_000), location_grade=grade)
    assert (await geo.post(PATH, json=away, headers=server)).json()["visits"] == []


async def test_a_scan_elsewhere_without_coordinates_ends_no_visit(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    who = person("walker")
    await open_store(geo, geo_app, server, "s2", radius_m=5)
    await geo.post(
        PATH,
        json=body(subject=who, latitude=north(50), occurred_at=ago(minutes=4)),
        headers=server,
    )
    sent = by("purchase", {"store_id": "s2"}, subject=who)
    answer = (await geo.post(PATH, json=sent, headers=server)).json()
    assert [(v["store_id"], v["state"]) for v in answer["visits"]] == [("s2", "open")]


async def test_a_chosen_position_opens_a_visit_of_the_least_confidence(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    answer = (await geo.post(PATH, json=body(location_grade="chosen"), headers=server)).json()
    [match] = answer["matches"]
    assert (match["evidence"], match["confidence"], match["transition"]) == ("chosen", 1, "enter")


OFFER = {
    "title": "Tea",
    "trigger": {"type": "check_in"},
    "stores": {"all": True},
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2099-01-01T00:00:00Z",
    "benefit": {"type": "text", "text": "A cup of tea"},
    "coupon": {"valid_for_s": 3600},
}


async def offered(
    geo: httpx.AsyncClient, app: FastAPI, headers: dict[str, str], **changes: Any
) -> None:
    await geo.put("/v1/offers/tea", json={**OFFER, **changes}, headers=headers)
    await geo.post("/v1/offers/tea/activate", headers=headers)
    async with asyncio.timeout(5):
        while not app.state.offers.current.offers:
            await asyncio.sleep(0.005)


async def reason(
    geo: httpx.AsyncClient, headers: dict[str, str], sent: dict[str, Any]
) -> str | None:
    answer = await geo.post(PATH, params={"explain": True}, json=sent, headers=headers)
    [decision] = answer.json()["decisions"]
    return None if decision["granted"] else str(decision["reason"])


async def test_an_offer_takes_the_evidence_and_the_trust_that_it_asks_for(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    asked = {"min_trust": 50, "evidence": ["gps", "store_qr"], "min_confidence": 2}
    await offered(geo, geo_app, server, requires=asked)
    screen = by("store_qr", {"code": await code(geo, server)})
    printed = by("store_qr", {"code": await code(geo, server, "printed")})
    assert await reason(geo, server, screen) is None
    assert await reason(geo, server, body()) is None
    assert await reason(geo, server, printed) == "evidence_not_accepted"
    assert await reason(geo, server, body(signals={"mocked": True})) == "trust_too_low"
    assert await reason(geo, server, body(signals={"proxy": True})) is None


async def test_a_closed_store_gives_nothing_unless_the_offer_says_so(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    store = (await geo.get("/v1/stores/s1", headers=server)).json()
    names = ("name", "latitude", "longitude", "timezone")
    shut = {name: store[name] for name in names} | {
        "hours": {"closures": [{"from": "2026-01-01T00:00:00Z", "reason": "Rebuilding"}]}
    }
    changed = await geo.put("/v1/stores/s1", json=shut, headers=server)
    assert changed.status_code == 200, changed.text
    await offered(geo, geo_app, server)
    async with asyncio.timeout(5):
        while geo_app.state.fences.current.stores["s1"].hours is None:
            await asyncio.sleep(0.005)
    assert await reason(geo, server, body()) == "store_closed"
    await geo.put("/v1/offers/tea", json={**OFFER, "when_closed": True}, headers=server)
    async with asyncio.timeout(5):
        while not geo_app.state.offers.current.offers[0].when_closed:
            await asyncio.sleep(0.005)
    assert await reason(geo, server, body()) is None

"""Asking why: the whole story for seven days, to whom it belongs."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from shared.identity import Namespace, normalise, subject_id
from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import body, north, open_store, person

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"


def of(sent: dict[str, Any]) -> str:
    return f"{PATH}/{sent['id']}/explanation"


async def test_a_server_sees_what_was_answered_and_why(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body(subject=person("a"), kind="background", accuracy_m=150)
    answered = await geo.post(PATH, json=sent, headers=server)
    told = await geo.get(of(sent), params=person("a"), headers=server)
    assert told.status_code == 200, told.text
    why = told.json()
    assert str(sent["latitude"]) not in told.text
    assert why["answer"] == answered.json()
    [geofence] = why["considered"]
    assert (geofence["standing"], geofence["reason"]) == ("arrives", "overlap")
    assert geofence["distance_m"] == pytest.approx(-100, abs=0.01)
    assert geofence["share"] == pytest.approx(100**2 / 150**2, abs=0.01)
    assert (geofence["overlap"], geofence["least_overlap"]) == (1.0, 0.75)
    assert why["clear_beyond_m"] == 170
    assert why["stores"] == {"arrives": ["s1"], "tentative": [], "uncertain": []}
    assert (why["rule"]["name"], why["rule"]["clear_margin_m"]) == ("arrival/3", 20)
    assert why["datum"] == {
        "datum": "wgs84", "zone": None, "converted": False, "moved_m": 0, "edge_m": None
    }  # fmt: skip
    assert why["consent"]["version"] == "2026-11"
    assert why["trust"] == {"score": 100, "doubts": []}
    assert (why["decisions"], why["counts"], why["source"]) == ([], True, "server")


async def test_a_near_miss_is_explained_too(geo: httpx.AsyncClient, server: dict[str, str]) -> None:
    sent = body(subject=person("a"), latitude=north(112), accuracy_m=5)
    answered = await geo.post(PATH, params={"explain": True}, json=sent, headers=server)
    assert (answered.json()["matches"], answered.json()["place"]) == ([], None)
    [geofence] = answered.json()["considered"]
    assert (geofence["standing"], geofence["reason"]) == ("uncertain", "not_clear")
    assert geofence["distance_m"] == pytest.approx(12, abs=0.5)
    why = (await geo.get(of(sent), params=person("a"), headers=server)).json()
    assert why["considered"] == [geofence]


async def test_a_blurred_place_is_said_to_claim_nothing(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body(subject=person("a"), location_grade="fuzzy")
    await geo.post(PATH, json=sent, headers=server)
    why = (await geo.get(of(sent), params=person("a"), headers=server)).json()
    [geofence] = why["considered"]
    assert (geofence["standing"], geofence["reason"]) == ("uncertain", "fuzzy")
    assert why["stores"] == {"arrives": [], "tentative": [], "uncertain": ["*"]}
    times = (why["rule"][name] for name in ("corroborated_after", "corroborated_within", "gap"))
    assert [*times] == [5, 120, 1800]


async def test_of_stores_that_overlap_one_is_likeliest(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    """A kiosk in the hall of a mall: an exact fix in it is in the kiosk, a vague one is not."""
    await open_store(geo, geo_app, server, "kiosk", radius_m=12)
    exact = (await geo.post(PATH, json=body(accuracy_m=5), headers=server)).json()
    assert (exact["place"]["store_id"], exact["place"]["verdict"]) == ("kiosk", "clear")
    likelihoods = [c["likelihood"] for c in exact["place"]["candidates"]]
    assert sum(likelihoods) == pytest.approx(1, abs=0.001)
    assert likelihoods == sorted(likelihoods, reverse=True)
    vague = (await geo.post(PATH, json=body(accuracy_m=60), headers=server)).json()
    assert {c["store_id"] for c in vague["place"]["candidates"]} == {"kiosk", "s1"}
    assert vague["place"]["store_id"] == "s1"


async def test_nobody_else_sees_it(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], tokens: Tokens
) -> None:
    sent = body(subject=person("a"))
    await geo.post(PATH, json=sent, headers=server)
    stranger = tokens("member", subject_id=uuid4())
    assert (await geo.get(of(sent), headers=stranger)).status_code == 404
    assert (await geo.get(of(sent), params=person("b"), headers=server)).status_code == 404
    assert (await geo.get(of(sent), params=person("a"), headers=stranger)).status_code == 403
    assert (await geo.get(of(sent), headers=server)).status_code == 422
    own = tokens("member", subject_id=_subject(geo_app, "a"))
    assert (await geo.get(of(sent), headers=own)).status_code == 200


def _subject(app: FastAPI, value: str) -> UUID:
    return subject_id(app.state.keys.identity, normalise(Namespace.APP_USER, "demo", value))

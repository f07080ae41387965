"""Asking why: the whole story for seven days, to whom it belongs."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from shared.identity import Namespace, normalise, subject_id
from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import body, open_store, person

PATH = "/v1/check-ins"


@pytest.fixture
async def server(geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens) -> dict[str, str]:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    return headers


def of(sent: dict[str, Any]) -> str:
    return f"{PATH}/{sent['id']}/explanation"


async def test_a_server_sees_what_was_answered_and_why(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body(subject=person("a"))
    answered = await geo.post(PATH, json=sent, headers=server)
    why = await geo.get(of(sent), params=person("a"), headers=server)
    assert why.status_code == 200, why.text
    assert why.json()["answer"] == answered.json()
    assert why.json()["decisions"] == []
    assert str(sent["latitude"]) not in why.text


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

"""Finding people, who may see them, and a document whose examples work."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from shared.auth import Role
from shared.ids import birth_person_id
from tests.conftest import Tokens
from tests.member_api.conftest import Known, Tell, key
from tests.member_api.events import app_user, check_in

pytestmark = pytest.mark.slow


async def test_a_person_is_found_by_address_and_by_body(
    member: httpx.AsyncClient, tokens: Tokens, known: Known
) -> None:
    subject = await known(app_user("42"))
    identity = {"namespace": "app_user", "issuer": "demo", "value": "42"}
    marketer = tokens(Role.MARKETER)

    by_address = await member.get("/v1/people", params=identity, headers=marketer)
    by_body = await member.post("/v1/people/search", json=identity, headers=marketer)

    assert by_address.json() == by_body.json()
    assert by_body.json()["person_id"] == str(birth_person_id(subject))
    assert by_body.json()["subjects"] == [str(subject)]


async def test_nobody_is_found_by_an_unknown_identity(
    member: httpx.AsyncClient, server: dict[str, str]
) -> None:
    identity = {"namespace": "app_user", "issuer": "demo", "value": "nobody"}

    response = await member.get("/v1/people", params=identity, headers=server)

    assert (response.status_code, response.json()["type"]) == (404, "/problems/person-not-found")


@pytest.mark.parametrize(
    ("identity", "pointer"),
    [
        ({"namespace": "phone", "value": "13800138000"}, "value"),
        ({"namespace": "app_user", "value": "42"}, "issuer"),
        ({"namespace": "horoscope", "value": "42"}, "namespace"),
    ],
)
async def test_a_malformed_identity_names_its_field(
    member: httpx.AsyncClient, server: dict[str, str], identity: dict[str, str], pointer: str
) -> None:
    by_address = await member.get("/v1/people", params=identity, headers=server)
    by_body = await member.post("/v1/people/search", json=identity, headers=server)

    assert by_address.status_code == by_body.status_code == 422
    assert by_address.json()["errors"][0]["pointer"] == f"?{pointer}"
    assert by_body.json()["errors"][0]["pointer"] == f"/{pointer}"


async def test_a_member_sees_itself_and_nobody_else(
    member: httpx.AsyncClient, tokens: Tokens, tell: Tell
) -> None:
    one, other = uuid4(), uuid4()
    await tell(check_in(one), check_in(other))
    own = tokens(Role.MEMBER, subject_id=one)

    me = await member.get("/v1/people/me", headers=own)
    another = await member.get(f"/v1/people/{birth_person_id(other)}", headers=own)
    nobody = await member.get("/v1/people/me", headers=tokens(Role.MEMBER, subject_id=uuid4()))
    server = await member.get("/v1/people/me", headers=tokens(Role.SERVER))

    assert me.json()["person_id"] == str(birth_person_id(one))
    assert [another.status_code, nobody.status_code, server.status_code] == [404, 404, 404]


async def test_a_member_cannot_tell_a_stranger_from_nobody(
    member: httpx.AsyncClient, tokens: Tokens, tell: Tell
) -> None:
    one, other = uuid4(), uuid4()
    await tell(check_in(one), check_in(other))
    own = tokens(Role.MEMBER, subject_id=one)

    for path in ("", "/timeline", "/consents", "/export"):
        answers = [
            (await member.get(f"/v1/people/{birth_person_id(who)}{path}", headers=own)).json()
            for who in (other, uuid4())
        ]
        stranger, nobody = [answer | {"instance": path} for answer in answers]
        assert stranger == nobody
        assert stranger["status"] == 404


async def test_the_examples_of_the_document_work_as_they_stand(
    member_app: FastAPI,
    member: httpx.AsyncClient,
    server: dict[str, str],
    geo_service: dict[str, str],
    known: Known,
) -> None:
    document = member_app.openapi()
    await known(app_user("42"))
    posted = {}
    for path in ("/v1/sign-ups", "/v1/consents", "/v1/people/search", "/v1/interactions/batch"):
        headers = geo_service if path.endswith("batch") else server
        response = await member.post(path, json=example(document, path), headers=headers | key())
        posted[path] = response.status_code
    await known(app_user("43"))
    merge = example(document, "/v1/people/merge")
    merge["people"][0] = {"identity": {"namespace": "app_user", "issuer": "demo", "value": "43"}}
    merged = await member.post("/v1/people/merge", json=merge, headers=server | key())

    assert posted == {
        "/v1/sign-ups": 201,
        "/v1/consents": 201,
        "/v1/people/search": 200,
        "/v1/interactions/batch": 200,
    }
    assert merged.status_code == 201


def example(document: dict[str, Any], path: str) -> Any:
    """The first example of a request body, where the document keeps it."""
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    if "example" in content:
        return content["example"]
    name = content["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"][0]

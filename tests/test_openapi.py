"""The documents that both services give of themselves: whole, true, and fit for pasting."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from shared.access import route_roles
from shared.auth import Role, mint_role_token
from shared.keys import load_signing_key
from tests.conftest import Tokens

pytestmark = pytest.mark.slow

PROBLEM = "application/problem+json"
NOT_ACCEPTED = {400, 401, 403, 405, 413, 415, 422, 429}


@dataclass(frozen=True)
class Operation:
    """One method of one path, with what the document says of it."""

    method: str
    path: str
    said: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def examples(self) -> Iterator[tuple[str, Any]]:
        """(media type, body) of each example of the request's body."""
        for media_type, content in self.said.get("requestBody", {}).get("content", {}).items():
            schema = content.get("schema", {})
            reference = schema.get("$ref", "").rpartition("/")[2]
            schema = self.schemas.get(reference, schema)
            values = [named["value"] for named in content.get("examples", {}).values()]
            values += [content["example"]] if "example" in content else []
            values += schema.get("examples", [])
            yield from ((media_type, value) for value in values)

    def address(self, body: Any) -> str:
        """The path with its parameters filled in; a body may name a thing's own id."""
        filled = {"offer_id": "tea", "store_id": "nanjing-road-1", "geofence_id": "nanjing-road-1"}
        if isinstance(body, dict):
            filled |= {name: body[name] for name in ("store_id", "offer_id") if name in body}
        return re.sub(r"\{(\w+)\}", lambda m: filled.get(m[1], str(uuid4())), self.path)


_DOCUMENTS: dict[str, dict[str, Any]] = {}
"""By the title of the service, since each app of one gives the same and takes a while to."""


def operations(app: FastAPI) -> list[Operation]:
    document = _DOCUMENTS.get(app.title) or app.openapi()
    _DOCUMENTS[app.title] = app.openapi_schema = document
    schemas = document["components"]["schemas"]
    return [
        Operation(method.upper(), path, said, schemas)
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    ]


@dataclass(frozen=True)
class Service:
    app: FastAPI
    client: httpx.AsyncClient
    tokens: Tokens
    keys: Path

    async def call(self, operation: Operation, body: Any, media_type: str) -> httpx.Response:
        """Send ``body`` as the document tells it, by the first role that may."""
        content = body if isinstance(body, str) else json.dumps(body)
        headers = self._token(operation) | {
            "Content-Type": media_type,
            "Idempotency-Key": uuid4().hex,
        }
        return await self.client.request(
            operation.method, operation.address(body), content=content, headers=headers
        )

    def _token(self, operation: Operation) -> dict[str, str]:
        roles = route_roles(self.app)[operation.method, operation.path]
        if roles is None or Role.SERVER in roles:
            return self.tokens("server")
        if roles == {Role.SERVICE}:
            other = "member" if "geo" in self.app.title else "geo"
            signing = load_signing_key(self.keys / other)
            token = mint_role_token(signing, Role.SERVICE, f"{other}_api", 300)
            return {"Authorization": f"Bearer {token}"}
        role = min(roles)
        return self.tokens(role, subject_id=uuid4() if role is Role.MEMBER else None)


@pytest.fixture
def geo_service(
    geo_app: FastAPI, geo: httpx.AsyncClient, tokens: Tokens, installation_keys: Path
) -> Service:
    return Service(geo_app, geo, tokens, installation_keys)


@pytest.fixture
def member_service(
    member_app: FastAPI, member: httpx.AsyncClient, tokens: Tokens, installation_keys: Path
) -> Service:
    return Service(member_app, member, tokens, installation_keys)


@pytest.fixture(params=["geo_service", "member_service"])
def service(request: pytest.FixtureRequest) -> Service:
    chosen: Service = request.getfixturevalue(request.param)
    return chosen


async def test_every_operation_explains_itself(service: Service) -> None:
    for operation in operations(service.app):
        assert operation.said.get("summary", "").strip(), operation.name
        assert operation.said.get("description"), operation.name
        assert operation.said.get("tags"), operation.name


async def test_every_example_is_accepted_as_it_stands(service: Service) -> None:
    """A 404 or a 409 is fair where an example speaks of things that are not there."""
    tried = 0
    for operation in operations(service.app):
        for media_type, body in operation.examples:
            answer = await service.call(operation, body, media_type)
            told = f"{operation.name}: {answer.status_code} {answer.text[:500]}"
            assert answer.status_code not in NOT_ACCEPTED, told
            assert answer.status_code < 500, told
            tried += 1
    assert tried >= 5


async def test_every_operation_with_a_body_tells_that_it_may_be_too_large_or_of_a_wrong_kind(
    service: Service,
) -> None:
    for operation in operations(service.app):
        told = {"413", "415"} <= set(operation.said["responses"])
        assert told == ("requestBody" in operation.said), operation.name


async def test_a_body_of_a_wrong_kind_is_refused_wherever_there_is_one(service: Service) -> None:
    for operation in operations(service.app):
        if "requestBody" in operation.said:
            answer = await service.call(operation, "a=b", "application/x-www-form-urlencoded")
            assert answer.status_code == 415, operation.name


async def test_every_body_has_an_example(service: Service) -> None:
    for operation in operations(service.app):
        asked = operation.said.get("requestBody", {}).get("content", {})
        assert {media_type for media_type, _ in operation.examples} == set(asked), operation.name


def refused_lines(answer: httpx.Response) -> list[Any]:
    """What a batch or an import did not take, though it answered 200."""
    if answer.headers["content-type"].startswith("application/x-ndjson"):
        lines = [json.loads(line) for line in answer.text.splitlines()]
        return [line for line in lines if line["http_status"] >= 300]
    document = answer.json()
    verdicts: list[Any] = [one for one in document.get("results", ()) if one["status"] == "refused"]
    return [*verdicts, *document.get("refused", ())]


async def test_no_line_of_an_example_is_refused(geo_service: Service) -> None:
    many = [one for one in operations(geo_service.app) if one.path.endswith(("batch", "import"))]
    for operation in many:
        for media_type, body in operation.examples:
            answer = await geo_service.call(operation, body, media_type)
            assert refused_lines(answer) == [], operation.name


async def test_every_answer_is_one_that_the_document_names(service: Service) -> None:
    for operation in operations(service.app):
        for media_type, body in [*operation.examples, ("application/json", {"no": ["such"]})]:
            answer = await service.call(operation, body, media_type)
            assert str(answer.status_code) in operation.said["responses"], operation.name


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"text"', '{"no": "such"}', "\x00"])
async def test_every_refusal_is_a_problem_document(body: str, service: Service) -> None:
    for operation in operations(service.app):
        answer = await service.call(operation, body, "application/json")
        stranger = await service.client.request(operation.method, operation.address(None))
        for refusal in (answer, stranger):
            assert refusal.status_code < 500, operation.name
            if refusal.status_code >= 400:
                document = refusal.json()
                assert refusal.headers["content-type"] == PROBLEM, operation.name
                assert {"type", "title", "status", "detail"} <= set(document), operation.name
                assert document["status"] == refusal.status_code
                assert document["type"].startswith("/problems/")


async def test_every_refusal_in_the_document_has_the_schema_of_a_problem(
    service: Service,
) -> None:
    for operation in operations(service.app):
        for status, response in operation.said["responses"].items():
            if status.startswith(("4", "5")):
                content = response["content"][PROBLEM]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}


async def test_every_reference_leads_somewhere(service: Service) -> None:
    document = service.app.openapi()
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]

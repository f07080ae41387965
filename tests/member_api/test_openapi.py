"""The document of member_api: each body has an example that does what it says when pasted."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.member_api.conftest import key

pytestmark = pytest.mark.slow

IN_THIS_ORDER = ("/v1/consents", "/v1/sign-ups", "/v1/people/search", "/v1/feed/replay",
                 "/v1/feed/discard")  # fmt: skip


@pytest.fixture
def document(member_app: FastAPI) -> dict[str, Any]:
    return member_app.openapi()


def bodies(document: dict[str, Any], path: str) -> list[Any]:
    """The examples of the body that a POST to ``path`` takes."""
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    reference = content["schema"].get("$ref", "").rpartition("/")[2]
    schema = document["components"]["schemas"].get(reference, {})
    return [*schema.get("examples", []), *([content["example"]] if "example" in content else [])]


def taking_bodies(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        if "requestBody" in methods.get("post", {}):
            yield path


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    paths = list(taking_bodies(document))

    assert set(paths) >= {"/v1/people/merge", "/v1/interactions/batch", *IN_THIS_ORDER}
    assert [path for path in paths if not bodies(document, path)] == []


async def test_the_examples_work_when_they_are_pasted(
    document: dict[str, Any],
    member: httpx.AsyncClient,
    server: dict[str, str],
    geo_service: dict[str, str],
) -> None:
    (batch,) = bodies(document, "/v1/interactions/batch")
    told = await member.post("/v1/interactions/batch", json=batch, headers=geo_service)
    assert [one["status"] for one in told.json()["results"]] == ["applied"]
    for path in IN_THIS_ORDER:
        for body in bodies(document, path):
            answer = await member.post(path, json=body, headers=server | key())
            assert answer.status_code in {200, 201}, f"{path}: {answer.text}"


async def test_the_merge_of_the_example_joins_two_who_are_known(
    document: dict[str, Any], member: httpx.AsyncClient, server: dict[str, str]
) -> None:
    (merge,) = bodies(document, "/v1/people/merge")
    for end in merge["people"]:
        consent = {"subject": end["identity"], "purpose": "profiling", "version": "1"}
        await member.post("/v1/consents", json=consent, headers=server | key())

    merged = await member.post("/v1/people/merge", json=merge, headers=server | key())

    assert merged.status_code == 201, merged.text


def test_a_sign_up_is_documented_with_a_token_and_without(document: dict[str, Any]) -> None:
    said = document["paths"]["/v1/sign-ups"]["post"]

    assert said["security"] == [{"bearer": []}, {}]
    assert {"401", "403"} < set(said["responses"])
    assert {one["name"] for one in said["parameters"]} == {"Idempotency-Key"}

"""What the sample sends and reads is what both services' own documents say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from services.geo_api.app import create_app as create_geo
from services.geo_api.settings import GeoSettings
from services.member_api.app import create_app as create_member
from services.member_api.settings import MemberSettings
from shared.access import route_roles
from shared.auth import Role
from tests.examples.sample import SAMPLE, shapes

Schema = dict[str, Any]
NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


@pytest.fixture(scope="module")
def apps() -> dict[str, FastAPI]:
    geo = GeoSettings(keys_dir=Path("keys"), geo_database_url=NOWHERE)
    member = MemberSettings(keys_dir=Path("keys"), member_database_url=NOWHERE)
    return {"geo": create_geo(geo), "member": create_member(member)}


class Document:
    """An OpenAPI document, walked by the paths that shapes name."""

    def __init__(self, app: FastAPI) -> None:
        self.document = app.openapi()

    def operation(self, shape: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][shape["path"]][shape["method"].lower()]
        return found

    def resolved(self, schema: Schema) -> Iterator[Schema]:
        """The schemas that a value may have, less null."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self.resolved(self.document["components"]["schemas"][name])
        elif "anyOf" in schema or "oneOf" in schema:
            for option in schema.get("anyOf") or schema["oneOf"]:
                yield from self.resolved(option)
        elif schema.get("type") != "null":
            yield schema

    def has(self, schema: Schema, path: str) -> bool:
        """Whether a document of ``schema`` may have what ``path`` names."""
        first, _, rest = path.partition(".")
        name, is_list = first.removesuffix("[]"), first.endswith("[]")
        for option in self.resolved(schema):
            inner = option.get("properties", {}).get(name)
            if inner is None and isinstance(option.get("additionalProperties"), dict):
                inner = option["additionalProperties"]
            if inner is None:
                continue
            if is_list:
                inner = next((one["items"] for one in self.resolved(inner) if "items" in one), None)
            if inner is not None and (not rest or self.has(inner, rest)):
                return True
        return False

    def required(self, schema: Schema, path: str = "") -> Iterator[str]:
        """What a document of ``schema`` must have, at the top and in what ``path`` leads to."""
        for option in self.resolved(schema):
            for name in option.get("required", ()):
                yield f"{path}{name}"

    def body(self, operation: dict[str, Any]) -> Schema:
        schema: Schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return schema

    def answers(self, operation: dict[str, Any]) -> list[dict[str, Any]]:
        """The contents of its successes."""
        return [
            answer["content"]
            for status, answer in operation["responses"].items()
            if status.startswith("2") and "content" in answer
        ]


def documented(apps: dict[str, FastAPI], shape: dict[str, Any]) -> tuple[Document, dict[str, Any]]:
    document = Document(apps[shape["service"]])
    return document, document.operation(shape)


@pytest.mark.parametrize("name", sorted(shapes()))
def test_all_that_is_sent_is_taken_and_all_that_is_needed_is_sent(
    apps: dict[str, FastAPI], name: str
) -> None:
    shape = shapes()[name]
    document, operation = documented(apps, shape)
    sends = shape.get("sends", [])
    if sends:
        schema = document.body(operation)
        assert [path for path in sends if not document.has(schema, path)] == []
        sent = {path.partition(".")[0] for path in sends}
        assert set(document.required(schema)) <= sent
    else:
        assert "requestBody" not in operation


@pytest.mark.parametrize("name", sorted(shapes()))
def test_all_that_is_read_is_answered(apps: dict[str, FastAPI], name: str) -> None:
    shape = shapes()[name]
    document, operation = documented(apps, shape)
    contents = document.answers(operation)
    if "picture" in shape:
        assert any(shape["picture"] in content for content in contents)
        return
    for content in contents:
        schema = content["application/json"]["schema"]
        assert [path for path in shape["reads"] if not document.has(schema, path)] == []


@pytest.mark.parametrize("name", sorted(shapes()))
def test_addresses_and_headers_are_those_of_the_document(
    apps: dict[str, FastAPI], name: str
) -> None:
    shape = shapes()[name]
    _, operation = documented(apps, shape)
    said = operation.get("parameters", [])
    asked = {parameter["name"] for parameter in said if parameter["in"] == "query"}
    needed = {parameter["name"] for parameter in said if parameter.get("required")}
    assert set(shape.get("query", [])) <= asked
    assert ("Idempotency-Key" in needed) == shape.get("once", False)
    assert needed - {"Idempotency-Key"} == set(re.findall(r"\{(\w+)\}", shape["path"]))


@pytest.mark.parametrize("name", sorted(shapes()))
def test_a_members_token_is_sent_where_one_may_and_is_needed(
    apps: dict[str, FastAPI], name: str
) -> None:
    shape = shapes()[name]
    roles = route_roles(apps[shape["service"]])[shape["method"], shape["path"]]
    if shape.get("member"):
        assert roles is None or Role.MEMBER in roles
    else:
        assert roles is None


def test_a_renamed_field_would_be_noticed(apps: dict[str, FastAPI]) -> None:
    shape = shapes()["checkIn"]
    document, operation = documented(apps, shape)
    schema = document.body(operation)
    answer = document.answers(operation)[0]["application/json"]["schema"]
    assert document.has(schema, "evidence.code")
    for renamed in ("lat", "evidence.qr", "consent_receipts", "signals.speed"):
        assert not document.has(schema, renamed)
    for renamed in ("check_in.state", "coupons[].name", "visit[].state", "invitation.jwt"):
        assert not document.has(answer, renamed)


def test_every_call_of_the_sample_has_its_shape_and_no_other_address_is_named() -> None:
    source = (SAMPLE / "utils/api.js").read_text()
    assert set(re.findall(r"call\('(\w+)'", source)) == set(shapes())
    for script in SAMPLE.rglob("*.js"):
        if script.name != "shapes.js":
            assert "/v1/" not in script.read_text(), script


def test_every_page_is_whole_and_every_word_is_there_in_both_languages() -> None:
    app = json.loads((SAMPLE / "app.json").read_text())
    languages = {
        path.stem: set(re.findall(r"^  (\w+):", path.read_text(), re.MULTILINE))
        for path in (SAMPLE / "locale").glob("*.js")
    }
    assert set(languages) == {"zh-CN", "en"}
    assert languages["zh-CN"] == languages["en"]
    for page in app["pages"]:
        for ending in ("js", "json", "wxml", "wxss"):
            assert (SAMPLE / f"{page}.{ending}").is_file(), page
        markup = (SAMPLE / f"{page}.wxml").read_text()
        script = (SAMPLE / f"{page}.js").read_text()
        used = set(re.findall(r"\bt\.(\w+)", markup + script))
        assert used <= languages["en"], page
        handlers = set(re.findall(r'bind\w+="(\w+)"', markup))
        assert handlers <= set(re.findall(r"^  (?:async )?(\w+)\(", script, re.MULTILINE)), page


def test_the_position_is_declared_to_wechat_and_its_use_explained() -> None:
    app = json.loads((SAMPLE / "app.json").read_text())
    assert app["requiredPrivateInfos"] == ["getLocation"]  # WeChat takes no fuzzy one beside it
    assert len(app["permission"]["scope.userLocation"]["desc"]) > 20
    assert app["__usePrivacyCheck__"] is True

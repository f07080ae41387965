"""``docs/access.md`` is the matrix of role and endpoint, and both services keep to it."""

import re
from pathlib import Path
from uuid import uuid4

import httpx
from fastapi import FastAPI

from shared.access import route_roles
from shared.auth import Role
from tests.conftest import Tokens

PAGE = Path(__file__).parents[1] / "docs/access.md"
Matrix = dict[tuple[str, str], frozenset[Role] | None]


def written(service: str) -> Matrix:
    """The table of a service on the page."""
    section = PAGE.read_text().split(f"## {service}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split("|") for line in section.splitlines() if line[:1] == "|"]
    columns = [cell.strip() for cell in lines[0]][1:]
    matrix: Matrix = {}
    for name, *cells in lines[2:]:
        method, path = re.findall(r"\S+", name.strip(" `"))
        marked = {c for c, cell in zip(columns, cells, strict=False) if cell.strip() == "x"}
        matrix[method, path] = None if "all" in marked else frozenset(map(Role, marked))
    return matrix


def test_geo_api_lets_in_whom_the_page_names(geo_app: FastAPI) -> None:
    assert route_roles(geo_app) == written("geo_api")


def test_member_api_lets_in_whom_the_page_names(member_app: FastAPI) -> None:
    assert route_roles(member_app) == written("member_api")


async def test_geo_api_turns_every_other_role_away(geo: httpx.AsyncClient, tokens: Tokens) -> None:
    await _every_other_role_is_refused(geo, written("geo_api"), tokens)


async def test_member_api_turns_every_other_role_away(
    member: httpx.AsyncClient, tokens: Tokens
) -> None:
    await _every_other_role_is_refused(member, written("member_api"), tokens)


async def _every_other_role_is_refused(
    client: httpx.AsyncClient, matrix: Matrix, tokens: Tokens
) -> None:
    for (method, path), roles in matrix.items():
        if roles is None:
            continue
        address = re.sub(r"\{\w+\}", str(uuid4()), path)
        assert (await client.request(method, address)).status_code == 401, (method, path)
        for role in set(Role) - roles - {Role.SERVICE}:
            subject = uuid4() if role is Role.MEMBER else None
            headers = tokens(role, store_id="s1", subject_id=subject)
            refused = await client.request(method, address, headers=headers)
            assert refused.status_code == 403, (method, path, role)

"""Fixtures for member_api alone: a caller that speaks for geo_api, and a look into the tables."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from services.member_api.people.service import seal
from shared.auth import Role, ServiceTokens, mint
from shared.identity import Identity, subject_id
from shared.ids import uuid7
from shared.keys import MemberKeys, load_member_keys, load_signing_key
from tests.conftest import DatabaseUrls, Tokens
from tests.member_api.events import observed

Tell = Callable[..., Awaitable[list[dict[str, Any]]]]
Known = Callable[[Identity], Awaitable[UUID]]
Invite = Callable[..., str]


@pytest.fixture(scope="session")
def member_keys(installation_keys: Path) -> MemberKeys:
    return load_member_keys(installation_keys / "member")


@pytest.fixture
def geo_service(installation_keys: Path) -> dict[str, str]:
    tokens = ServiceTokens(load_signing_key(installation_keys / "geo"), "geo_api")
    return {"Authorization": f"Bearer {tokens.current()}"}


@pytest.fixture
def server(tokens: Tokens) -> dict[str, str]:
    return tokens(Role.SERVER)


@pytest.fixture
async def tell(member: httpx.AsyncClient, geo_service: dict[str, str]) -> Tell:
    """Send events as geo_api does; gives the results, all applied or duplicates unless told."""

    async def send(*events: Any, refused: bool = False) -> list[dict[str, Any]]:
        response = await member.post(
            "/v1/interactions/batch", json={"events": list(events)}, headers=geo_service
        )
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.json()["results"]
        assert refused or all(one["status"] != "refused" for one in results), results
        return results

    return send


@pytest.fixture
def subject_of(member_keys: MemberKeys) -> Callable[[Identity], UUID]:
    return lambda identity: subject_id(member_keys.identity, identity)


@pytest.fixture
async def known(tell: Tell, installation_keys: Path, member_keys: MemberKeys) -> Known:
    """Make an identity known to member_api; gives its subject."""

    async def observe(identity: Identity) -> UUID:
        await tell(observed(installation_keys, identity))
        return seal(member_keys, identity).subject_id

    return observe


@pytest.fixture
def invite(installation_keys: Path) -> Invite:
    """An invitation as geo_api signs it."""
    signing = load_signing_key(installation_keys / "geo")

    def make(subject: UUID, *, ttl_s: int = 86_400, **claims: Any) -> str:
        told = {"sub": str(subject), "jti": uuid7().hex, "aud": "sign-up", "store_id": "s1"}
        return mint(signing, told | claims, ttl_s)

    return make


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to the test's database."""
    url = make_url(database_urls.superuser).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    yield connection
    await connection.close()


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid7().hex}

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy.exc
from fastapi import APIRouter, FastAPI
from sqlalchemy import select, text

from shared.access import (
    Revocations,
    allow,
    public,
    revoke,
    revoked_tokens_table,
    route_roles,
)
from shared.auth import Principal, Role, SwiftSigner, TokenVerifier, read_signed
from shared.db import Database, schema_metadata
from shared.errors import Unauthenticated
from shared.keys import load_geo_keys, load_signing_key
from tests.conftest import DatabaseUrls, Tokens
from tests.shared.platform import build_app, calling

METADATA = schema_metadata("geo")
TABLE = revoked_tokens_table(METADATA)
SUBJECT = UUID(int=42)


async def test_a_token_of_the_right_role_is_let_in(
    probe: httpx.AsyncClient, tokens: Tokens
) -> None:
    response = await probe.get("/v1/me", headers=tokens("staff", name="ann", store_id="s1"))

    assert (response.status_code, response.json()) == (200, "ann")


async def test_a_member_is_called_by_its_subject(probe: httpx.AsyncClient, tokens: Tokens) -> None:
    response = await probe.get("/v1/me", headers=tokens("member", subject_id=SUBJECT))

    assert response.json() == str(SUBJECT)


async def test_without_a_token_one_is_asked_for(probe: httpx.AsyncClient) -> None:
    response = await probe.get("/v1/me")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="solomo"'
    assert response.json()["type"] == "/problems/unauthenticated"


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic YTpi", "Bearer x", "Bearer a.b.c", "Bearer a b"]
)
async def test_a_token_that_is_none_is_refused(probe: httpx.AsyncClient, header: str) -> None:
    response = await probe.get("/v1/me", headers={"Authorization": header})

    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_an_expired_token_is_refused(probe: httpx.AsyncClient, tokens: Tokens) -> None:
    response = await probe.get("/v1/me", headers=tokens("staff", store_id="s1", ttl_s=-60))

    assert response.status_code == 401
    assert "expired" in response.json()["detail"]


async def test_a_token_of_another_installation_is_refused(
    probe: httpx.AsyncClient, tmp_path: Path
) -> None:
    from shared.auth import mint_role_token  # noqa: PLC0415 - used here only
    from shared.keys import create_installation_keys  # noqa: PLC0415

    create_installation_keys(tmp_path)
    token = mint_role_token(
        load_signing_key(tmp_path / "operator"), Role.STAFF, "eve", 60, store_id="s1"
    )

    response = await probe.get("/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 401


async def test_a_token_of_another_role_is_told_which_would_do(
    probe: httpx.AsyncClient, tokens: Tokens
) -> None:
    response = await probe.get("/v1/me", headers=tokens("server"))

    assert response.status_code == 403
    assert "member or staff" in response.json()["detail"]


async def test_the_scheme_may_be_written_in_any_case(
    probe: httpx.AsyncClient, tokens: Tokens
) -> None:
    headers = {
        "authorization": tokens("staff", store_id="s1")["Authorization"].replace("Bearer", "bearer")
    }

    assert (await probe.get("/v1/me", headers=headers)).status_code == 200


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(
    installation_keys: Path, tokens: Tokens
) -> None:
    app = build_app(installation_keys, access_log=False, rate_key_per_s=1)
    headers = tokens("staff", store_id="s1")
    async with calling(app) as client:
        answers = [await client.get("/v1/me", headers=headers) for _ in range(4)]
        other = await client.get("/v1/me", headers=tokens("staff", name="bob", store_id="s1"))

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert other.status_code == 200


async def test_a_member_is_limited_as_a_subject(installation_keys: Path, tokens: Tokens) -> None:
    app = build_app(installation_keys, access_log=False, rate_subject_per_s=0.1)
    async with calling(app) as client:
        first, second = [
            await client.get("/v1/me", headers=tokens("member", subject_id=SUBJECT))
            for _ in range(2)
        ]
        other = await client.get("/v1/me", headers=tokens("member", subject_id=uuid4()))

    assert (first.status_code, second.status_code, other.status_code) == (200, 429, 200)


def test_the_roles_of_all_endpoints_can_be_read_off_the_app(probe_app: FastAPI) -> None:
    matrix = route_roles(probe_app)

    assert matrix["GET", "/v1/me"] == frozenset({Role.MEMBER, Role.STAFF})
    assert matrix["PUT", "/v1/shelves/{shelf_id}"] == frozenset({Role.SERVER})
    assert matrix["POST", "/v1/parcels"] is None
    assert matrix["GET", "/readyz"] is None


def test_an_endpoint_within_a_guarded_router_needs_both_rights() -> None:
    app = FastAPI()
    router = APIRouter(dependencies=[allow(Role.SERVER, Role.STAFF)])

    @router.get("/both")
    async def both(principal: Annotated[Principal, allow(Role.STAFF, Role.MEMBER)]) -> None: ...

    app.include_router(router, prefix="/v1")

    assert route_roles(app) == {("GET", "/v1/both"): frozenset({Role.STAFF})}


def test_an_endpoint_that_names_nobody_is_found_out(probe_app: FastAPI) -> None:
    @probe_app.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(LookupError, match="/forgotten"):
        route_roles(probe_app)


def test_allowing_no_role_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="at least one role"):
        allow()


def test_the_document_says_which_operations_need_a_token(probe_app: FastAPI) -> None:
    document = probe_app.openapi()

    assert document["paths"]["/v1/me"]["get"]["security"] == [{"bearer": []}]
    assert "security" not in document["paths"]["/v1/parcels"]["post"]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_public_gives_a_dependency_of_its_own() -> None:
    assert public() is not None


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> Any:
    database = Database.connect(database_urls.geo)
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield database
    await database.close()


async def take_back(database: Database, token_id: str, *, expires_in: timedelta) -> None:
    async with database.transaction() as session:
        await revoke(session, TABLE, token_id, datetime.now(UTC) + expires_in)


async def test_a_revoked_token_is_refused_once_the_table_was_read(
    database: Database, installation_keys: Path, tokens: Tokens
) -> None:
    revocations = Revocations(TABLE)
    verifier = TokenVerifier(load_geo_keys(installation_keys / "geo").public, revocations)
    header = tokens("server")
    principal = verifier.verify(header["Authorization"].removeprefix("Bearer "))
    app = build_app(installation_keys, access_log=False)
    app.state.verifier = verifier

    await take_back(database, principal.token_id, expires_in=timedelta(hours=1))
    await take_back(database, principal.token_id, expires_in=timedelta(hours=1))
    await revocations.refresh(database)

    async with calling(app) as client:
        response = await client.put("/v1/shelves/1", headers=header | {"Idempotency-Key": "k"})
    assert response.status_code == 401
    assert "revoked" in response.json()["detail"]


async def test_the_table_is_read_again_and_again(database: Database) -> None:
    revocations = Revocations(TABLE)
    task = asyncio.create_task(revocations.run(database, every_s=0.02))

    await take_back(database, "late", expires_in=timedelta(hours=1))
    await asyncio.sleep(0.3)
    assert "late" in revocations

    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_outage_of_the_database_leaves_revoked_tokens_revoked(
    database: Database,
) -> None:
    revocations = Revocations(TABLE)
    await take_back(database, "bad", expires_in=timedelta(hours=1))
    await revocations.refresh(database)
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE geo.revoked_tokens RENAME TO elsewhere"))

    task = asyncio.create_task(revocations.run(database, every_s=0.01))
    await asyncio.sleep(0.1)

    assert not task.done()
    assert "bad" in revocations
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_revoked_tokens_are_known_before_anything_is_answered(database: Database) -> None:
    await take_back(database, "bad", expires_in=timedelta(hours=1))

    revocations = Revocations(TABLE)
    async with revocations.followed(database):
        assert "bad" in revocations


async def test_no_trouble_ends_the_reading_of_revoked_tokens(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool without a free connection raises an error that is none of the database's."""
    revocations = Revocations(TABLE)
    tries = 0

    async def refresh(_database: Database) -> None:
        nonlocal tries
        tries += 1
        raise sqlalchemy.exc.TimeoutError

    monkeypatch.setattr(Revocations, "refresh", lambda _self, given: refresh(given))
    task = asyncio.create_task(revocations.run(database, every_s=0.001))
    while tries < 3:
        await asyncio.sleep(0.001)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_what_has_long_expired_is_dropped(database: Database) -> None:
    revocations = Revocations(TABLE)
    await take_back(database, "old", expires_in=timedelta(hours=-1))
    await take_back(database, "just", expires_in=timedelta(seconds=-10))

    await revocations.refresh(database)

    async with database.transaction() as session:
        assert list(await session.scalars(select(TABLE.c.token_id))) == ["just"]
    assert "old" not in revocations


def test_a_swift_signature_is_read_as_any_other(installation_keys: Path) -> None:
    keys = load_geo_keys(installation_keys / "geo")
    claims = {"iss": "geo", "exp": int(time.time()) + 60, "sub": "ü", "store_id": None}
    token = SwiftSigner(keys.signing).sign(claims)

    assert read_signed(token, keys.public) == claims
    head, body, signature = token.split(".")
    with pytest.raises(Unauthenticated):
        read_signed(f"{head}.{body[:-2]}AA.{signature}", keys.public)

"""The service starts without its database, says so, and works once the right one is there."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from asgi_lifespan import LifespanManager

from cli.cluster import Cluster
from cli.output import Output
from services.member_api.adapters.installation import AnotherInstallation, Installation
from services.member_api.app import create_app
from services.member_api.settings import MemberSettings
from shared.auth import Role
from shared.db import Database
from shared.keys import identity_fingerprint
from tests.clusters import running_cluster
from tests.conftest import DatabaseUrls, Tokens, create_template, migrate, url_of
from tests.member_api.signups.test_sign_ups import PHONE, sign_up

pytestmark = pytest.mark.slow

NOTE = "INSERT INTO member.installation VALUES (1, $1)"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        url = url_of(cluster.admin_url, "solomo")
        asyncio.run(create_template(cluster.admin_url, "solomo"))
        migrate("member", url_of(url, "solomo", "solomo_member"))
        yield cluster


@asynccontextmanager
async def running(url: str, keys: Path) -> AsyncIterator[httpx.AsyncClient]:
    """member_api on the database at ``url``, from its start to its stop."""
    settings = MemberSettings(member_database_url=url, keys_dir=keys / "member", access_log=False)
    app = create_app(settings)
    async with (
        LifespanManager(app, startup_timeout=30),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://member") as client,
    ):
        yield client


async def readiness(client: httpx.AsyncClient, *, until: int) -> dict[str, Any]:
    """What /readyz says once it answers with the status waited for."""
    async with asyncio.timeout(30):
        while (answer := await client.get("/readyz")).status_code != until:
            await asyncio.sleep(0.1)
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.slow
async def test_it_starts_without_a_database_and_becomes_ready_when_that_comes(
    cluster: Cluster, installation_keys: Path, tokens: Tokens
) -> None:
    url = url_of(cluster.admin_url, "solomo", "solomo_member")
    await asyncio.to_thread(cluster.stop)

    async with running(url, installation_keys) as client:
        not_ready = await readiness(client, until=503)
        alive = await client.get("/healthz")
        refused = await sign_up(client, tokens(Role.SERVER), identities=[PHONE])
        await asyncio.to_thread(cluster.start, Output(as_json=True))
        await readiness(client, until=200)
        accepted = await sign_up(client, tokens(Role.SERVER), identities=[PHONE])

    assert alive.status_code == 200
    assert not_ready["checks"]["database"].startswith("does not answer")
    assert "not read yet" in not_ready["checks"]["installation"]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert accepted.status_code == 201, accepted.text


@pytest.mark.slow
async def test_a_database_that_goes_away_and_comes_back_is_told_by_readiness(
    cluster: Cluster, installation_keys: Path
) -> None:
    url = url_of(cluster.admin_url, "solomo", "solomo_member")

    async with running(url, installation_keys) as client:
        await readiness(client, until=200)
        await asyncio.to_thread(cluster.stop)
        gone = await readiness(client, until=503)
        await asyncio.to_thread(cluster.start, Output(as_json=True))
        await readiness(client, until=200)

    assert set(gone["checks"]) == {"database"}


async def test_it_does_not_start_with_the_keys_of_another_installation(
    database_urls: DatabaseUrls, installation_keys: Path, database: asyncpg.Connection
) -> None:
    ours, keys = Database.connect(database_urls.member), installation_keys / "member"
    async with Installation(ours, keys).followed():
        pass
    await database.execute(NOTE, identity_fingerprint(keys))
    async with Installation(ours, keys).followed():
        pass
    await database.execute("UPDATE member.installation SET identity_key_fingerprint = 'another'")

    with pytest.raises(AnotherInstallation, match="identity key"):
        async with Installation(ours, keys).followed():
            pass
    await ours.close()


@pytest.mark.slow
async def test_a_late_database_of_another_installation_is_never_written_to(
    cluster: Cluster, installation_keys: Path, tokens: Tokens
) -> None:
    url = url_of(cluster.admin_url, "solomo", "solomo_member")
    plain = url_of(cluster.admin_url, "solomo").replace("+asyncpg", "")
    connection = await asyncpg.connect(plain)
    await connection.execute(NOTE, "another")
    await connection.close()
    await asyncio.to_thread(cluster.stop)

    async with running(url, installation_keys) as client:
        await asyncio.to_thread(cluster.start, Output(as_json=True))
        async with asyncio.timeout(30):
            while "not the one" not in (await client.get("/readyz")).text:
                await asyncio.sleep(0.1)
        person = await client.get(f"/v1/people/{uuid4()}", headers=tokens(Role.SERVER))
        connection = await asyncpg.connect(plain)
        own = identity_fingerprint(installation_keys / "member")
        await connection.execute(
            "UPDATE member.installation SET identity_key_fingerprint = $1", own
        )
        await connection.close()
        await readiness(client, until=200)

    assert person.status_code == 503

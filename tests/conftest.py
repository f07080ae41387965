"""Fixtures that every test may use: a migrated database of its own, keys, tokens, both services.

Databases are clones of a template that is migrated once per worker process. Roles belong to
the whole cluster and stay.
"""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from alembic import command
from alembic.config import Config
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url

from shared.auth import Role, mint_operator_token
from shared.keys import create_installation_keys

ROOT = Path(__file__).parent.parent
DEFAULT_SUPERUSER_URL = "postgresql://postgres@127.0.0.1:55432/postgres"
SCHEMAS = {"geo": "solomo_geo", "member": "solomo_member"}
ROLE_PASSWORD = "test"
PATIENCE_S = 60
"""For a service to start or stop; cut short on a busy machine, it would leave connections open."""

Tokens = Callable[..., dict[str, str]]

QUICK_WITH_DATABASE = (
    "tests/journeys/",
    "tests/geo_api/checkins/test_check_in.py",
    "tests/geo_api/offers/test_contention.py",
    "tests/geo_api/redemptions/test_contention.py",
    "tests/geo_api/test_migrations.py",
    "tests/member_api/test_migrations.py",
    "tests/test_access_matrix.py",
)
"""Of the tests with a database of their own a quick run keeps the main job and its guards."""

LONGEST = (
    "tests/e2e/",
    "tests/cli/test_up.py",
    "tests/geo_api/presence/test_outlines.py",
    "tests/member_api/timeline/test_any_order.py",
)


QUICK_EXAMPLES = 30
"""Of a property; the full run takes Hypothesis's own number, 100."""


def pytest_configure(config: pytest.Config) -> None:
    """A property holds or not, however slow the machine is; a quick run tries fewer examples."""
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("full", patient)
    settings.register_profile("quick", patient, max_examples=QUICK_EXAMPLES)
    settings.load_profile("quick" if _is_quick(config) else "full")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A quick run does not even load a file of slow tests, as half of all lines are in such."""
    if not _is_quick(config) or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.slow\n" in collection_path.read_text() or None


def _is_quick(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "not slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow every other test that needs a database: making one costs more than most tests.

    The longest files come first, so that no process is left alone with one at the end.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))  # stable: else in their order
    for item in items:
        needs_database = "superuser_url" in getattr(item, "fixturenames", ())
        if needs_database and not item.nodeid.startswith(QUICK_WITH_DATABASE):
            item.add_marker("slow")


@dataclass(frozen=True)
class DatabaseUrls:
    """SQLAlchemy URLs of one database: of each service's role, and of the superuser."""

    geo: str
    member: str
    superuser: str


@pytest.fixture(scope="session")
def superuser_url() -> str:
    """``SOLOMO_TEST_DATABASE_URL``: a superuser on a server with PostGIS, any database."""
    return os.environ.get("SOLOMO_TEST_DATABASE_URL", DEFAULT_SUPERUSER_URL)


@pytest.fixture(scope="session")
def template_database(superuser_url: str) -> Iterator[str]:
    """The name of a database that has both schemas as the migrations make them."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"solomo_test_{worker}_{os.getpid()}"
    asyncio.run(create_template(superuser_url, name))
    try:
        for schema, role in SCHEMAS.items():
            migrate(schema, url_of(superuser_url, name, role))
        yield name
    finally:
        asyncio.run(_execute(superuser_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def database_urls(superuser_url: str, template_database: str) -> Iterator[DatabaseUrls]:
    """A migrated database for this test alone."""
    name = f"{template_database}_{uuid4().hex[:12]}"
    _run(
        _execute(
            superuser_url,
            f'CREATE DATABASE "{name}" TEMPLATE "{template_database}" STRATEGY = FILE_COPY',
        )
    )
    roles = {schema: url_of(superuser_url, name, role) for schema, role in SCHEMAS.items()}
    yield DatabaseUrls(**roles, superuser=url_of(superuser_url, name))
    _run(_execute(superuser_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def installation_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of an installation, one folder per party."""
    directory = tmp_path_factory.mktemp("keys")
    create_installation_keys(directory)
    return directory


@pytest.fixture(scope="session")
def tokens(installation_keys: Path) -> Tokens:
    """Headers with a bearer token: ``tokens("server")``, ``tokens("staff", store_id="s1")``.

    A member's token needs ``subject_id``; ``name`` is the key id or staff id.
    """

    def headers(
        role: Role | str,
        *,
        name: str = "test",
        store_id: str | None = None,
        subject_id: UUID | None = None,
        ttl_s: int = 3600,
    ) -> dict[str, str]:
        token = mint_operator_token(
            installation_keys / "operator",
            role=Role(role),
            subject=name,
            ttl_s=ttl_s,
            store_id=store_id,
            subject_id=subject_id,
        )
        return {"Authorization": f"Bearer {token}"}

    return headers


class Switchboard(httpx.AsyncBaseTransport):
    """Connects the services within the process: by host name, to whichever app is plugged in.

    A host without an app refuses connections, as a service does that is down.
    """

    def __init__(self) -> None:
        self.apps: dict[str, FastAPI] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        app = self.apps.get(request.url.host)
        if app is None:
            raise httpx.ConnectError(f"{request.url.host} is down", request=request)
        return await httpx.ASGITransport(app).handle_async_request(request)


@pytest.fixture
def switchboard() -> Switchboard:
    """Take an app out of ``switchboard.apps`` to cut the other service off from it."""
    return Switchboard()


@pytest.fixture
async def geo_app(
    database_urls: DatabaseUrls, installation_keys: Path, switchboard: Switchboard
) -> AsyncIterator[FastAPI]:
    async with AsyncExitStack() as stack:
        yield await _start(
            stack,
            "geo",
            switchboard,
            geo_database_url=database_urls.geo,
            keys_dir=installation_keys / "geo",
            member_url="http://member",
        )


@pytest.fixture
async def member_app(
    database_urls: DatabaseUrls, installation_keys: Path, switchboard: Switchboard
) -> AsyncIterator[FastAPI]:
    async with AsyncExitStack() as stack:
        yield await _start(
            stack,
            "member",
            switchboard,
            member_database_url=database_urls.member,
            keys_dir=installation_keys / "member",
            geo_url="http://geo",
        )


@pytest.fixture
async def geo(geo_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(geo_app, "http://geo") as client:
        yield client


@pytest.fixture
async def member(member_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(member_app, "http://member") as client:
        yield client


def _client(app: FastAPI, base_url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url)


async def _start(
    stack: AsyncExitStack, name: str, switchboard: Switchboard, **settings: Any
) -> FastAPI:
    """Run a service until ``stack`` closes, plugged in under its name."""
    settings_module = importlib.import_module(f"services.{name}_api.settings")
    app_module = importlib.import_module(f"services.{name}_api.app")
    settings_class = getattr(settings_module, f"{name.capitalize()}Settings")
    app: FastAPI = app_module.create_app(
        settings_class(**settings, access_log=False), transport=switchboard
    )
    await stack.enter_async_context(LifespanManager(app, PATIENCE_S, PATIENCE_S))
    switchboard.apps[name] = app
    stack.callback(switchboard.apps.pop, name, None)
    return app


async def create_template(superuser_url: str, name: str) -> None:
    """A database with the services' roles and schemas, for ``migrate`` to fill."""
    for role in SCHEMAS.values():
        await _create_role(superuser_url, role)
    await _execute(superuser_url, f'CREATE DATABASE "{name}"')
    statements = ["CREATE EXTENSION postgis", "REVOKE ALL ON SCHEMA public FROM public"]
    statements += ["GRANT USAGE ON SCHEMA public TO public"]
    for schema, role in SCHEMAS.items():
        statements.append(f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
    # Half of an empty database is PostGIS's list of reference systems; a clone copies it each time.
    statements += ["DELETE FROM spatial_ref_sys WHERE srid <> 4326", "VACUUM FULL spatial_ref_sys"]
    await _execute(url_of(superuser_url, name), *statements)


async def _create_role(superuser_url: str, role: str) -> None:
    """Roles are the cluster's: another worker may make the same one at this moment."""
    try:
        await _execute(superuser_url, f"CREATE ROLE {role} LOGIN PASSWORD '{ROLE_PASSWORD}'")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        return


def migrate(schema: str, url: str) -> None:
    """Run a service's migrations as its own role, as an installation does."""
    path = ROOT / "services" / f"{schema}_api" / "migrations" / "alembic.ini"
    if not path.exists():
        return
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOLOMO_DATABASE_URL", url)
        command.upgrade(Config(str(path)), "head")


def url_of(superuser_url: str, database: str, role: str | None = None) -> str:
    """SQLAlchemy's URL of a database on the same server, for a service's role or the superuser."""
    url = make_url(superuser_url).set(drivername="postgresql+asyncpg", database=database)
    if role is not None:
        url = url.set(username=role, password=ROLE_PASSWORD)
    return url.render_as_string(hide_password=False)


async def _execute(url: str, *statements: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end from a fixture that is not async itself, whatever loop the test has."""
    with asyncio.Runner() as runner:
        runner.run(work)

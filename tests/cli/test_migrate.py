import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from cli.cluster import Cluster
from cli.database import Database, parse
from cli.home import PROJECT
from cli.migrate import GEO, MEMBER, OWNER, Plan, migrate
from cli.output import CommandFailed
from cli.revisions import heads
from shared.keys import create_installation_keys
from tests.clusters import running_cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A server of its own: roles belong to a whole server."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    create_installation_keys(directory)
    return directory


@pytest.fixture(scope="module")
def plan(own_cluster: Cluster, keys: Path) -> Plan:
    """A database that was migrated twice, the second time with nothing to do."""
    database = parse(own_cluster.admin_url).named("solomo")
    made = Plan(database, "geo-secret", "member-secret", keys)
    migrate(made)
    migrate(made)
    return made


def as_role(plan: Plan, role: str) -> Database:
    passwords = {GEO: plan.geo_password, MEMBER: plan.member_password, OWNER: "guess"}
    return plan.database.as_user(role, passwords[role])


async def run(database: Database, statement: str) -> object:
    connection = await asyncpg.connect(database.url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_each_service_writes_the_tables_of_its_own_schema_only(plan: Plan) -> None:
    writable = (
        "SELECT string_agg(DISTINCT relnamespace::regnamespace::text, ',') FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text <> 'pg_catalog'"
        " AND has_table_privilege('{}', oid, 'INSERT, UPDATE, DELETE')"
    )
    for role, schema in ((GEO, "geo"), (MEMBER, "member")):
        assert await run(plan.database, writable.format(role)) == schema
        refused = (
            f"SELECT array_agg(relname ORDER BY relname) FROM pg_class WHERE relkind IN ('r', 'p')"
            f" AND relnamespace = '{schema}'::regnamespace"
            f" AND NOT has_table_privilege('{role}', oid, 'INSERT')"
        )
        assert await run(plan.database, refused) == ["alembic_version", "installation"]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (GEO, "SELECT count(*) FROM member.installation"),
        (MEMBER, "SELECT count(*) FROM geo.installation"),
        (GEO, "CREATE TABLE geo.mine (id int)"),
        (GEO, "CREATE TABLE public.mine (id int)"),
        (GEO, "CREATE TEMPORARY TABLE mine (id int)"),
        (MEMBER, "CREATE SCHEMA mine"),
        (GEO, "UPDATE geo.installation SET identity_key_fingerprint = 'x'"),
        (MEMBER, "DELETE FROM member.alembic_version"),
    ],
)
async def test_a_service_may_do_nothing_else(plan: Plan, role: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(as_role(plan, role), statement)


async def test_a_service_uses_postgis(plan: Plan) -> None:
    for role in (GEO, MEMBER):
        metres = await run(
            as_role(plan, role),
            "SELECT ST_Distance('POINT(0 0)'::geography, 'POINT(0.001 0)'::geography)",
        )
        assert metres == pytest.approx(111.32, abs=0.01)


async def test_the_owner_of_the_tables_cannot_log_in(plan: Plan) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await run(as_role(plan, OWNER), "SELECT 1")
    owners = await run(
        plan.database,
        "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables"
        " WHERE schemaname IN ('geo', 'member')",
    )
    assert owners == OWNER


async def test_another_role_cannot_enter_the_database(plan: Plan) -> None:
    await run(plan.database, "CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(plan.database.as_user("stranger", "stranger"), "SELECT 1")


@pytest.mark.parametrize("schema", ["geo", "member"])
def test_the_newest_migration_is_the_one_that_alembic_finds(schema: str) -> None:
    folder = PROJECT / "services" / f"{schema}_api" / "migrations"
    found = ScriptDirectory.from_config(Config(folder / "alembic.ini")).get_heads()
    assert heads(folder / "versions") == set(found)


def test_the_newest_migrations_are_those_that_none_follows(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('revision = "a"\ndown_revision = None\n')
    (tmp_path / "b.py").write_text("revision: str = 'b'\ndown_revision: str | None = 'a'\n")
    (tmp_path / "c.py").write_text('revision = "c"\ndown_revision = ("b", "x")\n')
    (tmp_path / "d.py").write_text('revision = "d"\ndown_revision = "b"\n')
    assert heads(tmp_path) == {"c", "d"}


def test_a_schema_that_is_behind_is_brought_up_to_date(plan: Plan) -> None:
    database = plan.database.named("behind")
    again = Plan(database, plan.geo_password, plan.member_password, plan.keys)
    migrate(again)
    asyncio.run(run(database, "DROP SCHEMA member CASCADE"))
    migrate(again)
    assert asyncio.run(run(database, "SELECT count(*) FROM member.installation")) == 1


def test_another_identity_key_is_refused(plan: Plan, tmp_path: Path) -> None:
    create_installation_keys(tmp_path)
    with pytest.raises(CommandFailed, match="identity key is not the one"):
        migrate(Plan(plan.database, plan.geo_password, plan.member_password, tmp_path))


def test_a_missing_identity_key_is_named(plan: Plan, tmp_path: Path) -> None:
    shutil.copytree(plan.keys, tmp_path / "keys")
    (tmp_path / "keys" / "geo" / "identity.key").unlink()
    with pytest.raises(CommandFailed, match="identity key is missing"):
        migrate(Plan(plan.database, plan.geo_password, plan.member_password, tmp_path / "keys"))


def test_an_administrator_who_is_no_superuser_suffices_where_postgis_is_in_place(
    plan: Plan,
) -> None:
    name, admin = f"managed_{uuid4().hex[:8]}", "managed_admin"

    async def prepare() -> None:
        await run(plan.database, f"CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD 'managed'")
        await run(plan.database, f"CREATE DATABASE {name} OWNER {admin}")
        await run(plan.database.named(name), "CREATE EXTENSION postgis")
        await run(plan.database.named(name), f"ALTER SCHEMA public OWNER TO {admin}")

    asyncio.run(prepare())
    database = plan.database.named(name).as_user(admin, "managed")
    migrate(Plan(database, plan.geo_password, plan.member_password, plan.keys))


def test_missing_rights_are_named(plan: Plan) -> None:
    asyncio.run(run(plan.database, "CREATE ROLE powerless LOGIN PASSWORD 'powerless'"))
    asyncio.run(run(plan.database, "GRANT CONNECT ON DATABASE solomo TO powerless"))
    database = plan.database.as_user("powerless", "powerless")
    with pytest.raises(CommandFailed, match="powerless lacks a right") as refused:
        migrate(Plan(database, "a", "b", plan.keys))
    assert "administrator" in str(refused.value.hint)


def test_a_server_that_does_not_answer_is_named_without_its_password(plan: Plan) -> None:
    database = parse("postgresql://admin:very-secret@127.0.0.1:1/solomo")
    with pytest.raises(CommandFailed, match="No database server answers") as refused:
        migrate(Plan(database, "a", "b", plan.keys))
    assert "very-secret" not in refused.value.message


def test_a_wrong_password_is_named_without_the_password(plan: Plan) -> None:
    database = plan.database.as_user("solomo_admin", "very-wrong")
    with pytest.raises(CommandFailed, match="does not let solomo_admin in") as refused:
        migrate(Plan(database, "a", "b", plan.keys))
    assert "very-wrong" not in refused.value.message


async def test_passwords_do_not_reach_the_server_s_log(plan: Plan, own_cluster: Cluster) -> None:
    await run(plan.database, "ALTER SYSTEM SET log_statement = 'all'")
    await run(plan.database, "SELECT pg_reload_conf()")
    await asyncio.to_thread(migrate, plan)
    log = own_cluster.log.read_text()
    assert "ALTER ROLE" in log
    assert plan.geo_password not in log

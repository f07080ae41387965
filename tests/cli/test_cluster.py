import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from cli import processes
from cli.cluster import Cluster, buffers_mb, owner_of
from cli.home import PROJECT, Home, Settings
from cli.installation import prepare
from cli.output import CommandFailed, Output
from tests.clusters import new_cluster, open_folder, running_cluster

pytestmark = pytest.mark.slow
QUIET = Output(as_json=True)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other users")


async def fetch(cluster: Cluster, statement: str) -> object:
    connection = await asyncpg.connect(cluster.admin_url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(("memory_mb", "buffers"), [(1_024, 512), (8_192, 1_024), (65_536, 2_048)])
async def test_buffers_are_an_eighth_of_the_memory_within_limits(
    memory_mb: int, buffers: int
) -> None:
    assert buffers_mb(memory_mb) == buffers


async def test_a_cluster_killed_without_warning_keeps_what_was_committed() -> None:
    with running_cluster(durable=True) as cluster:
        await fetch(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
        killed = cluster.process
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        cluster.start(QUIET)

        assert cluster.process not in {None, killed}
        assert await fetch(cluster, "SELECT answer FROM kept") == 42


def test_a_pid_file_that_names_a_stranger_does_not_keep_the_cluster_down() -> None:
    with running_cluster() as cluster, subprocess.Popen(["sleep", "600"]) as stranger:
        cluster.stop()
        shape = "\n".join(
            (str(stranger.pid), str(cluster.directory), "1", str(cluster.port), "", "")
        )
        (cluster.directory / "postmaster.pid").write_text(shape)
        assert cluster.process is None

        cluster.start(QUIET)

        assert asyncio.run(fetch(cluster, "SELECT 1")) == 1
        assert stranger.poll() is None
        stranger.kill()


async def test_the_installation_s_cluster_is_durable_and_open_to_this_machine_only() -> None:
    with running_cluster(durable=True) as cluster:
        settings = {
            name: await fetch(cluster, f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")
        }
        access = await fetch(
            cluster, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
        )

    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
    }
    assert access == "scram-sha-256"


def test_a_stopped_cluster_is_not_running_and_stopping_again_does_nothing() -> None:
    with running_cluster() as cluster:
        cluster.stop()
        assert cluster.process is None
        cluster.stop()


def test_an_interrupted_initialisation_leaves_nothing_in_the_way() -> None:
    with open_folder() as folder:
        cluster = new_cluster(folder)
        draft = folder / "postgres.new"
        draft.mkdir()
        (draft / "half").write_text("")
        try:
            cluster.start(QUIET)
            assert cluster.process is not None
            assert not draft.exists()
        finally:
            cluster.delete()


def test_a_folder_of_another_version_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cli.postgres.shutil.which", {}.get)
    with open_folder() as folder:
        cluster = new_cluster(folder)
        cluster.directory.mkdir()
        (cluster.directory / "PG_VERSION").write_text("9\n")

        with pytest.raises(
            CommandFailed, match="PostgreSQL 9 with PostGIS was not found"
        ) as refused:
            cluster.start(QUIET)

    assert "docker compose up" in str(refused.value.hint)


@as_root
def test_root_hands_the_cluster_to_an_unprivileged_user() -> None:
    with running_cluster() as cluster:
        process = cluster.process
        assert process is not None
        assert Path(f"/proc/{process}").stat().st_uid == cluster.owner.pw_uid != 0


@as_root
def test_a_folder_that_root_owns_is_refused() -> None:
    with open_folder() as folder:
        (folder / "postgres").mkdir()
        with pytest.raises(CommandFailed, match="belongs to root"):
            owner_of(folder / "postgres")


@as_root
def test_a_data_folder_below_roots_home_gets_its_cluster_elsewhere() -> None:
    home = Home(Path("/root/.solomo-test-home"))
    try:
        installation = prepare(home, None, QUIET)
        assert installation.cluster is not None
        place = installation.cluster.directory
        assert Path("/var/lib/solomo") in place.parents
        try:
            installation.cluster.start(QUIET)
            assert installation.cluster.process is not None
            assert prepare(home, None, QUIET).cluster == installation.cluster
        finally:
            installation.cluster.delete()
    finally:
        shutil.rmtree(home.path)


AS_NOBODY = """
import os, pwd, sys
from pathlib import Path
from cli.output import Output
from tests.clusters import new_cluster
nobody = pwd.getpwnam("nobody")
os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid)
cluster = new_cluster(Path(sys.argv[1]))
cluster.start(Output(as_json=True))
print(os.stat(f"/proc/{cluster.process}").st_uid)
cluster.delete()
"""


@as_root
def test_a_user_without_rights_runs_a_cluster_of_their_own() -> None:
    nobody = pwd.getpwnam("nobody")
    with open_folder() as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, folder],
            cwd=PROJECT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == nobody.pw_uid


def test_a_taken_port_is_replaced_by_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as folder:
        home = Home(folder / "home")
        home.create()
        taken = processes.unused_port()
        home.record(Settings(database_port=taken))
        monkeypatch.setattr(processes, "port_is_free", lambda port: port != taken)
        settings = prepare(home, None, QUIET).settings
    assert settings.database_port not in {None, taken}

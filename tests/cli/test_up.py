"""A whole installation: set up, killed, stopped, deleted, by the real commands."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from cli import processes
from cli.installation import load
from shared.keys import IRREPLACEABLE
from tests.cli.solomo import Solomo
from tests.clusters import open_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def solomo() -> Iterator[Solomo]:
    with open_folder() as folder:
        installed = Solomo(folder / "home")
        try:
            first = installed("up")
            assert first.returncode == 0, first.stderr
            assert "Next: ./solomo demo" in first.stdout
            yield installed
        finally:
            installed("reset", "--yes")


def test_a_second_start_says_so_and_is_quick(solomo: Solomo) -> None:
    began = time.monotonic()
    assert "Everything was running already." in solomo("up").stdout
    assert time.monotonic() - began < 10


def how_busy() -> float:
    """How many programs wait for each core; times are promised for a machine of one's own."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def once_more(solomo: Solomo) -> float:
    """The time of another start: other work on this machine may have slowed the first."""
    assert solomo("down").returncode == 0
    return float(solomo.json("up")["took_s"])


def test_after_down_it_starts_within_ten_seconds(solomo: Solomo) -> None:
    assert set(solomo.json("down")["stopped"]) == {"geo_api", "member_api", "postgres"}
    assert solomo("status").returncode == 3
    assert min(solomo.json("up")["took_s"], once_more(solomo)) < 10 * how_busy()
    status = solomo.json("status")
    assert {row["state"] for row in status["parts"]} == {"ready"}
    assert status["feeds"]["geo_api"] == {"waiting": 0, "oldest_age_seconds": 0, "parked": 0}


@pytest.mark.parametrize("part", ["geo_api", "member_api", "postgres"])
def test_up_brings_back_what_was_killed(solomo: Solomo, part: str) -> None:
    others = {"geo_api", "member_api", "postgres"} - {part}
    before = {name: solomo.process(name) for name in others}
    os.kill(solomo.process(part), signal.SIGKILL)

    answer = solomo.json("up")

    assert part in answer["started"]
    assert {row["state"] for row in solomo.json("status")["parts"]} == {"ready"}
    assert {name: solomo.process(name) for name in others} == before


def test_workers_whose_parent_was_killed_do_not_keep_the_port(solomo: Solomo) -> None:
    solomo.environment["SOLOMO_WORKERS"] = "2"
    try:
        assert solomo("up").returncode == 0
        parent = solomo.process("geo_api")
        workers = set(processes.marked(solomo.home.path, "geo_api")) - {parent}
        assert len(workers) >= 2
        os.kill(parent, signal.SIGKILL)

        assert "geo_api" in solomo.json("up")["started"]

        assert workers.isdisjoint(processes.marked(solomo.home.path, "geo_api"))
    finally:
        solomo.environment["SOLOMO_WORKERS"] = "1"
        assert solomo("up").returncode == 0


def test_a_pid_file_that_names_a_stranger_harms_nobody(solomo: Solomo) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        part = load(solomo.home).parts[0]
        before = part.pid_file.read_text()
        part.pid_file.write_text(f"{stranger.pid}\n")

        assert part.name in solomo.json("up")["started"]

        assert stranger.poll() is None
        assert part.pid_file.read_text() != before
        stranger.kill()


def test_a_taken_port_names_the_program_and_the_way_out() -> None:
    with open_folder() as folder, socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]
        second = Solomo(folder / "home", SOLOMO_GEO_PORT=str(port))
        refused = second("up")
        assert refused.returncode == 1
        assert f"Port {port} of geo_api is taken by" in refused.stderr
        assert f"(process {os.getpid()})" in refused.stderr
        assert "SOLOMO_GEO_PORT=" in refused.stderr
        assert "Traceback" not in refused.stderr
        made = (path.name for path in (folder / "home").rglob("*") if path.is_file())
        assert set(made) == {"lock"}


def test_a_taken_port_leaves_alone_what_runs(solomo: Solomo) -> None:
    before = solomo.json("status")["parts"]
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()

        refused = solomo("up", SOLOMO_MEMBER_PORT=str(taker.getsockname()[1]))

    assert refused.returncode == 1
    assert "is taken by" in refused.stderr
    assert solomo.json("status")["parts"] == before


def test_a_wrong_setting_leaves_alone_what_runs(solomo: Solomo) -> None:
    before = solomo.json("status")["parts"]

    refused = solomo("up", SOLOMO_ARRIVAL_RULE="nearly")

    assert refused.returncode == 1
    assert "SOLOMO_ARRIVAL_RULE" in refused.stderr
    assert solomo.json("status")["parts"] == before
    assert solomo.json("up")["started"] == []


def test_a_setting_is_remembered_until_it_is_unset(solomo: Solomo) -> None:
    assert "Starting geo_api ..." in solomo("up", SOLOMO_ARRIVAL_RULE="plain").stderr
    assert solomo.json("up")["started"] == []
    assert solomo.json("down")["stopped"]
    assert solomo("up").returncode == 0

    assert solomo.json("status")["settings"]["SOLOMO_ARRIVAL_RULE"] == "plain"
    told = processes.environment(solomo.process("geo_api"))
    assert told["SOLOMO_ARRIVAL_RULE"] == "plain"

    assert "Starting geo_api ..." in solomo("up", SOLOMO_ARRIVAL_RULE="").stderr
    assert "SOLOMO_ARRIVAL_RULE" not in solomo.json("status")["settings"]
    assert "SOLOMO_ARRIVAL_RULE" not in processes.environment(solomo.process("geo_api"))


def test_secrets_are_in_no_argument_and_no_log(solomo: Solomo) -> None:
    secrets = solomo.home.secrets()
    passwords = {secrets.admin_password, secrets.geo_password, secrets.member_password}
    listed = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    written = "".join(path.read_text() for path in solomo.home.logs.glob("*.log"))
    assert not [secret for secret in passwords if secret in listed or secret in written]
    assert (solomo.home.path / "secrets.json").stat().st_mode & 0o077 == 0
    assert solomo.home.keys.stat().st_mode & 0o077 == 0


def test_services_are_not_told_the_administrator_s_secrets(solomo: Solomo) -> None:
    secrets = solomo.home.secrets()
    for part in load(solomo.home).parts:
        told = "".join(processes.environment(part.process or 0).values())
        assert (secrets.geo_password in told) == (part.schema == "geo")
        assert (secrets.member_password in told) == (part.schema == "member")
        assert secrets.admin_password not in told


def test_a_lost_identity_key_stops_the_start(solomo: Solomo) -> None:
    assert solomo("down").returncode == 0
    paths = [solomo.home.keys / party / "identity.key" for party in ("operator", "geo", "member")]
    kept = paths[0].read_text()
    for path in paths:
        path.unlink()
    try:
        refused = solomo("up")
        assert refused.returncode == 1
        assert "*/identity.key" in refused.stderr
        assert "Restore the keys" in refused.stderr
        assert not any(path.exists() for path in paths)
    finally:
        for path in paths:
            path.write_text(kept)
    assert solomo("up").returncode == 0


@pytest.mark.parametrize("name", IRREPLACEABLE)
def test_no_new_key_takes_the_place_of_a_lost_one(solomo: Solomo, name: str) -> None:
    path = solomo.home.keys / name
    kept = path.read_text()
    path.unlink()
    try:
        refused = solomo("up")
        assert refused.returncode == 1
        assert name in refused.stderr
        assert not path.exists()
    finally:
        path.write_text(kept)


def test_a_new_operator_s_key_takes_back_every_token_it_signed(solomo: Solomo) -> None:
    before = solomo("token", "server").stdout.strip()
    (solomo.home.keys / "operator" / "signing.jwk.json").unlink()
    assert solomo("down").returncode == 0
    assert solomo("up").returncode == 0
    after = solomo("token", "server").stdout.strip()
    assert [_status(solomo, token) for token in (before, after)] == [401, 200]


def _status(solomo: Solomo, token: str) -> int:
    url = f"{solomo.home.settings().geo_url}/v1/stores"
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(url, headers=headers, trust_env=False).status_code


def test_logs_show_each_part(solomo: Solomo) -> None:
    assert set(solomo.json("logs")) == {"geo", "member", "postgres"}
    assert "ready to accept connections" in solomo("logs", "postgres").stdout


def test_reset_asks_before_it_deletes(solomo: Solomo) -> None:
    refused = solomo("reset")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert solomo("status").returncode == 0

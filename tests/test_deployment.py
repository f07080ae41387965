"""The compose file and the Dockerfile, read and carried out without Docker.

Every command is started as written; only what a container would provide is put in its place:
host names become this machine, ports free ones, ``/keys`` a folder, passwords test passwords.
"""

import fnmatch
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import processes
from cli.cluster import Cluster
from cli.home import PROJECT, Home
from cli.output import Output
from cli.parts import Part
from cli.postgres import require_programs
from cli.remembered import OF_BOTH, OF_GEO
from services.geo_api.settings import GeoSettings
from services.member_api.settings import MemberSettings
from shared.keys import IRREPLACEABLE
from shared.settings import ServiceSettings
from tests.clusters import running_cluster

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
APIS: dict[str, tuple[str, int, type[ServiceSettings]]] = {
    "geo_api": ("geo", 8001, GeoSettings),
    "member_api": ("member", 8002, MemberSettings),
}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^{}]*))?\}")
"""The innermost, where one stands in the default of another."""
PASSWORDS = {
    "SOLOMO_ADMIN_PASSWORD": "admin-secret",
    "SOLOMO_GEO_PASSWORD": "geo-secret",
    "SOLOMO_MEMBER_PASSWORD": "member-secret",
}


def filled_in(text: object, **given: str) -> str:
    """Compose's substitution of variables, with the passwords set and what is ``given``."""
    known = {**PASSWORDS, **given}

    def value(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        if name in known:
            return known[name]
        assert operator == "-", f"{name} has neither a default nor a password"
        return str(default)

    filled = str(text)
    while VARIABLE.search(filled):
        filled = VARIABLE.sub(value, filled)
    return filled


def environment_of(service: str, **given: str) -> dict[str, str]:
    written = SERVICES[service].get("environment", {})
    return {name: filled_in(value, **given) for name, value in written.items()}


def command_of(service: str) -> list[str]:
    return [filled_in(word) for word in SERVICES[service]["command"]]


def test_it_starts_what_up_starts() -> None:
    started = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert started == {"postgis", "keys", "migrate", "geo_api", "member_api"}


@pytest.mark.parametrize("name", APIS)
def test_a_service_is_started_as_up_starts_it(name: str) -> None:
    schema, port, _ = APIS[name]
    by_up = Part(Home(Path("/home")), schema, port)._command("1")
    by_up[by_up.index("127.0.0.1")] = "0.0.0.0"  # noqa: S104 - within the container's network
    assert command_of(name) == ["python", *by_up[1:]]


@pytest.mark.parametrize("name", APIS)
def test_a_service_is_told_what_its_settings_read_and_nothing_else(name: str) -> None:
    _, _, settings = APIS[name]
    known = {f"SOLOMO_{field.upper()}" for field in settings.model_fields}
    needed = {
        f"SOLOMO_{name.upper()}"
        for name, field in settings.model_fields.items()
        if field.is_required()
    }
    told = set(environment_of(name)) - {"PROMETHEUS_MULTIPROC_DIR"}
    assert needed <= told <= known


@pytest.mark.parametrize("name", APIS)
def test_a_service_is_told_every_setting_that_is_remembered_with_the_default_it_has(
    name: str,
) -> None:
    schema, _, settings = APIS[name]
    wanted = OF_BOTH | OF_GEO if schema == "geo" else OF_BOTH
    told = environment_of(name)
    assert wanted <= told.keys()
    for variable in wanted:
        field = settings.model_fields[variable.removeprefix("SOLOMO_").lower()]
        default = "" if field.default is None else str(field.default).lower()
        assert told[variable] == default, variable
        assert environment_of(name, **{variable: "mine"})[variable] == "mine"


def test_people_join_at_the_port_that_member_api_was_given() -> None:
    told = environment_of("geo_api", SOLOMO_MEMBER_PORT="9002")
    assert told["SOLOMO_JOIN_URL"] == "http://127.0.0.1:9002/join"


def test_every_name_that_is_used_is_declared() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"]), name
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(COMPOSE["volumes"]), name


def test_every_address_is_a_service_s_and_its_port() -> None:
    ports = {"postgis": "5432", "geo_api": "8001", "member_api": "8002"}
    for name, (_, port, _) in APIS.items():
        command = command_of(name)
        assert command[command.index("--port") + 1] == str(port)
        assert filled_in(SERVICES[name]["ports"][0]) == f"127.0.0.1:{port}:{port}"
    for name in SERVICES:
        for value in environment_of(name).values():
            for host, port_text in re.findall(r"(?:@|//)(\w+):(\d+)", value):
                assert ports[host] == port_text, name
                shared = set(SERVICES[host]["networks"]) & set(SERVICES[name]["networks"])
                assert shared, f"{name} cannot reach {host}"


def test_the_conditions_wait_for_what_they_name() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            waits_for = SERVICES[other]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in waits_for, name
            else:
                assert how["condition"] == "service_completed_successfully"
                assert waits_for["restart"] == "no"


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_the_least_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == [] or name == "postgis"
    assert name == "postgis" or int(service["user"].partition(":")[0]) > 0


def test_each_sees_only_its_own_keys() -> None:
    seen = {
        name: {volume for volume in service.get("volumes", []) if volume.startswith("keys_")}
        for name, service in SERVICES.items()
    }
    assert seen["geo_api"] == {"keys_geo:/keys/geo:ro"}
    assert seen["member_api"] == {"keys_member:/keys/member:ro"}
    assert seen["postgis"] == set()
    writers = {name for name, volumes in seen.items() if any(":ro" not in v for v in volumes)}
    assert writers == {"keys"}


def test_only_the_services_can_be_reached_from_outside() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == set(APIS)
    assert COMPOSE["networks"]["database"] == {"internal": True}


def test_images_are_pinned_and_no_registry_is_named() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in images:
        repository, _, tag = image.partition(":")
        assert tag
        assert tag != "latest"
        assert "." not in repository


def test_the_image_is_built_from_files_that_are_sent_to_it_and_runs_without_rights() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for line in re.findall(r"^COPY (.+)", DOCKERFILE, re.MULTILINE):
        for source in shlex.split(line)[:-1]:
            assert (PROJECT / source).exists()
            assert any(fnmatch.fnmatch(source.removeprefix("./"), pattern) for pattern in sent)
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["solomo"]
    user = SERVICES["geo_api"]["user"].partition(":")[0]
    assert f"useradd --uid {user} " in DOCKERFILE


@dataclass(frozen=True)
class Machine:
    """Stands in for the containers: one server, one keys folder, a free port for each service."""

    cluster: Cluster
    keys: Path
    ports: dict[str, int]

    def text(self, value: str) -> str:
        ports = {
            5432: self.cluster.port,
            8001: self.ports["geo_api"],
            8002: self.ports["member_api"],
        }
        for written, real in ports.items():
            value = re.sub(
                rf"(postgis|geo_api|member_api|127\.0\.0\.1):{written}\b",
                f"127.0.0.1:{real}",
                value,
            )
            value = re.sub(rf"^{written}$", str(real), value)
        value = value.replace("admin-secret", self.cluster.password)
        return re.sub(r"^/keys", str(self.keys), value)

    def command(self, words: list[str]) -> list[str]:
        real = [self.text(word) for word in words]
        return [sys.executable if word == "python" else word for word in real]

    def environment(self, service: str) -> dict[str, str]:
        given = {name: self.text(value) for name, value in environment_of(service).items()}
        if "PROMETHEUS_MULTIPROC_DIR" in given:
            folder = self.keys.parent / f"metrics_{service}"
            folder.mkdir(exist_ok=True)
            given["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **given}

    def run(self, service: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(command_of(service)),
            env=self.environment(service), cwd=PROJECT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def is_healthy(self, service: str) -> bool:
        kind, *words = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        environment = {"PATH": os.environ["PATH"], "PGPORT": str(self.cluster.port)}
        done = subprocess.run(
            self.command(words), env=environment, capture_output=True, check=False
        )  # fmt: skip
        return done.returncode == 0

    @contextmanager
    def started(self, service: str) -> Iterator["subprocess.Popen[bytes]"]:
        command = self.command(command_of(service))
        log = (self.keys.parent / f"{service}.log").open("wb")
        with log, subprocess.Popen(
            command, env=self.environment(service), cwd=PROJECT, stdout=log, stderr=log
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running_cluster() as cluster:
        keys = tmp_path_factory.mktemp("deployed") / "keys"
        yield Machine(cluster, keys, {name: processes.unused_port() for name in APIS})


@pytest.fixture(scope="module")
def prepared(machine: Machine) -> Machine:
    """After the one-shot steps, each run twice: a restart of everything runs them again."""
    for step in ("keys", "migrate") * 2:
        done = machine.run(step)
        assert done.returncode == 0, done.stderr
    return machine


@pytest.mark.slow
def test_the_database_s_command_is_one_that_it_understands(machine: Machine) -> None:
    programs = require_programs(Output(as_json=True))
    program, *settings = command_of("postgis")
    log = machine.keys.parent / "settings.log"
    with log.open("wb") as file:
        asked: list[str | Path] = [programs.bin / program, *settings]
        asked += ["-D", machine.cluster.directory, "-C", "shared_buffers"]
        code = machine.cluster._run(asked, log=file.fileno())
    assert code == 0, log.read_text()
    assert int(log.read_text()) * 8192 == 512 * 1024**2
    assert SERVICES["postgis"]["image"].startswith("postgis/postgis:15-")


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["", *IRREPLACEABLE])
def test_lost_keys_are_not_replaced_under_a_database_that_was_written_with_them(
    lost: str, prepared: Machine
) -> None:
    kept = prepared.keys.with_name("kept")
    shutil.copytree(prepared.keys, kept)
    path = prepared.keys / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    try:
        done = prepared.run("keys")
        assert done.returncode == 1
        assert "Restore the keys folder" in done.stderr
        assert not path.exists()
    finally:
        shutil.rmtree(prepared.keys, ignore_errors=True)
        kept.rename(prepared.keys)
    assert prepared.run("keys").returncode == 0


@pytest.mark.slow
def test_a_database_that_answers_is_healthy(prepared: Machine) -> None:
    assert prepared.is_healthy("postgis")


@pytest.mark.slow
@pytest.mark.parametrize("name", APIS)
def test_a_service_starts_as_written_becomes_healthy_and_stops_gracefully(
    name: str, prepared: Machine
) -> None:
    assert not prepared.is_healthy(name)
    with prepared.started(name) as process:
        deadline = time.monotonic() + 60
        while not prepared.is_healthy(name):
            log = (prepared.keys.parent / f"{name}.log").read_text()
            assert process.poll() is None, log
            assert time.monotonic() < deadline, log
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in {0, -signal.SIGTERM}


@pytest.mark.slow
def test_a_token_is_given_out_and_taken_back_as_written(prepared: Machine) -> None:
    token = SERVICES["token"]
    done = subprocess.run(
        prepared.command([*token["entrypoint"], *token["command"]]),
        env=prepared.environment("token"), cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.count(".") == 2, done.stderr
    revoke = SERVICES["revoke"]
    taken = subprocess.run(
        prepared.command([*revoke["entrypoint"], *revoke["command"]]), input=done.stdout,
        env=prepared.environment("revoke"), cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "of server app" in taken.stdout, taken.stderr


def test_the_address_of_the_health_check_is_the_one_the_service_has() -> None:
    for name, (_, port, _) in APIS.items():
        assert f"http://127.0.0.1:{port}/readyz" in " ".join(SERVICES[name]["healthcheck"]["test"])

"""``./solomo dump --canonical``: equal where the input is equal, however it arrived."""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
from sqlalchemy import make_url

from cli.commands.dump import dump
from cli.output import CommandFailed, Output
from shared.auth import mint_operator_token
from shared.keys import create_installation_keys, load_member_keys
from tests import conftest as base

pytestmark = pytest.mark.slow

STORE = {"name": "S", "latitude": 40.7, "longitude": -74.0, "timezone": "America/New_York"}
FENCE = {
    "store_id": "s1",
    "geometry": {"type": "Circle", "coordinates": [-74.0, 40.7], "radius_m": 100},
}
CONSENT = {"purpose": "visit_history", "version": "v1", "given_at": "2012-01-01T00:00:00Z"}


@dataclass
class Installation:
    geo: httpx.AsyncClient
    member: httpx.AsyncClient
    keys: Path
    database_url: str

    def bearer(self, role: str) -> dict[str, str]:
        token = mint_operator_token(self.keys / "operator", role=role, subject="test", ttl_s=60)
        return {"Authorization": f"Bearer {token}"}

    async def place(self) -> None:
        headers = self.bearer("marketer")
        for path, body in (("stores/s1", STORE), ("geofences/f1", FENCE)):
            answer = await self.geo.put(f"/v1/{path}", json=body, headers=headers)
            assert answer.status_code == 201, answer.text
        await self._until_in_force()

    async def _until_in_force(self) -> None:
        """Ask with check-ins that nobody consented to, which leave nothing behind."""
        unconsented = {key: value for key, value in check_in(0).items() if key != "consent"}
        headers = self.bearer("server")
        async with asyncio.timeout(5):
            while not (
                await self.geo.post("/v1/check-ins", json=unconsented, headers=headers)
            ).json()["matches"]:
                await asyncio.sleep(0.01)

    async def send(self, check_ins: list[dict[str, Any]]) -> None:
        answer = await self.geo.post(
            "/v1/check-ins/batch", json=check_ins, headers=self.bearer("server")
        )
        statuses = {orjson.loads(line)["http_status"] for line in answer.content.splitlines()}
        assert statuses <= {200, 201}, answer.text

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.database_url)
        await connection.execute(statement)
        await connection.close()

    async def dump(
        self, capfd: pytest.CaptureFixture[str], *, as_json: bool = False, **options: Any
    ) -> list[str]:
        chosen = {"canonical": True, "wait": True, "sha256": False, "patience": 20.0, **options}
        capfd.readouterr()
        key = load_member_keys(self.keys / "member").opening
        output = Output(as_json=as_json)
        await dump(self.database_url, key, argparse.Namespace(**chosen), output)
        lines = capfd.readouterr().out.splitlines()
        return [line for line in lines if '"timestamp"' not in line]


@asynccontextmanager
async def installed(superuser_url: str, template: str, keys: Path) -> AsyncIterator[Installation]:
    """Both services on a database and with keys of their own."""
    create_installation_keys(keys)
    name = f"{template}_{uuid4().hex[:12]}"
    await base._execute(superuser_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    switchboard = base.Switchboard()
    async with AsyncExitStack() as stack:
        drop = f'DROP DATABASE "{name}" WITH (FORCE)'
        stack.push_async_callback(base._execute, superuser_url, drop)
        clients = {}
        for service, other in (("geo", "member"), ("member", "geo")):
            settings: dict[str, Any] = {
                f"{service}_database_url": base.url_of(superuser_url, name, f"solomo_{service}"),
                f"{other}_url": f"http://{other}",
                "keys_dir": keys / service,
            }
            app = await base._start(stack, service, switchboard, **settings)
            client = base._client(app, f"http://{service}")
            clients[service] = await stack.enter_async_context(client)
        url = make_url(superuser_url).set(drivername="postgresql", database=name)
        yield Installation(
            clients["geo"], clients["member"], keys, url.render_as_string(hide_password=False)
        )


def check_in(number: int) -> dict[str, Any]:
    """Every third is inside; three people, one of them with a name beyond ASCII."""
    latitude = 40.7 if number % 3 == 0 else 40.8
    return {
        "id": f"00000000-0000-5000-8000-{number:012}",
        "kind": "background",
        "latitude": latitude,
        "longitude": -74.0,
        "accuracy_m": 5,
        "occurred_at": f"2012-04-03T{number // 60:02}:{number % 60:02}:00Z",
        "subject": {
            "namespace": "app_user", "issuer": "t", "value": ("ann", "ben", "çé")[number % 3 - 1]
        },
        "consent": CONSENT,
    }  # fmt: skip


def sections(lines: list[str]) -> dict[str, list[dict[str, Any]]]:
    rows = [orjson.loads(line) for line in lines]
    return {
        name: [r for r in rows if r["section"] == name] for name in {r["section"] for r in rows}
    }


CHECK_INS = [check_in(number) for number in [*range(60), *range(200, 230)]]


@pytest.mark.slow
async def test_two_installations_with_the_same_input_in_another_order_dump_the_same(
    superuser_url: str,
    template_database: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    dumps = []
    for run in range(2):
        keys = tmp_path / f"keys{run}"
        async with installed(superuser_url, template_database, keys) as here:
            await here.place()
            shuffled = random.Random(run).sample(CHECK_INS, len(CHECK_INS)) if run else CHECK_INS
            for start in range(0, len(shuffled), 30):
                await here.send(shuffled[start : start + 30])
            await here.send(shuffled[:40])
            dumps.append(await here.dump(capfd))
            if run:
                await here.send([check_in(300)])
                assert await here.dump(capfd) != dumps[0]
    assert dumps[0] == dumps[1]
    found = sections(dumps[0])
    assert len(found["check_ins"]) == len(CHECK_INS)
    told = [item for item in found["timeline"] if item["type"] == "check_in"]
    assert len(told) == len(CHECK_INS)
    assert [person["identities"] for person in found["people"]] == [
        [["app_user", "t", name]] for name in ("ann", "ben", "çé")
    ]


async def test_a_silence_noticed_in_one_run_and_not_in_another_dumps_the_same(
    superuser_url: str,
    template_database: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with installed(superuser_url, template_database, tmp_path / "keys") as here:
        await here.place()
        await here.send(CHECK_INS[:1])
        before = await here.dump(capfd)
        assert sections(before)["visits"][0]["state"] == "open"
        await here.execute(
            "UPDATE geo.visits SET state = 'expired', left_at = last_inside_at,"
            " closed_by = 'silence', provisional = true"
        )
        assert await here.dump(capfd) == before
        await here.execute("UPDATE geo.visits SET closed_by = 'gap', provisional = false")
        assert await here.dump(capfd) != before


async def test_digests_ids_and_json_are_given_where_asked_for(
    superuser_url: str,
    template_database: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with installed(superuser_url, template_database, tmp_path / "keys") as here:
        await here.place()
        await here.send(CHECK_INS[:5])
        digests = [line.split() for line in await here.dump(capfd, sha256=True)]
        assert {name: int(rows) for _, rows, name in digests}["check_ins"] == 5
        whole = sections(await here.dump(capfd, canonical=False))
        assert {"subject_id", "received_at"} == whole["check_ins"][0]["server"].keys()
        document = orjson.loads("\n".join(await here.dump(capfd, as_json=True)))
        assert [row["section"] for row in document].count("check_ins") == 5
        plain = "\n".join(await here.dump(capfd))
        assert "server" not in plain
        assert "40.8" not in plain


async def test_waiting_ends_with_a_word_when_nothing_moves(
    superuser_url: str,
    template_database: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with installed(superuser_url, template_database, tmp_path / "keys") as here:
        await here.dump(capfd)
        await here.execute(
            "INSERT INTO geo.outbox (bucket, lane, event_id, type, payload, next_attempt_at)"
            " VALUES (1, 1, gen_random_uuid(), 'check_in', '{}', now() + interval '1 day')"
        )
        with pytest.raises(CommandFailed, match="geo_api has 1 to tell, member_api 0"):
            await here.dump(capfd, patience=0.5)
        assert await here.dump(capfd, wait=False)

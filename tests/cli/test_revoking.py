import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import make_url

from cli.__main__ import main
from tests.conftest import DatabaseUrls, Tokens

pytestmark = pytest.mark.slow

Revoke = Callable[..., Awaitable[int]]


@pytest.fixture
def installation(
    tmp_path: Path, installation_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """As in a container: keys and an address, and no data folder."""
    monkeypatch.setenv("SOLOMO_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SOLOMO_KEYS_DIR", str(installation_keys))
    return monkeypatch


@pytest.fixture
def revoke(installation: pytest.MonkeyPatch, database_urls: DatabaseUrls) -> Revoke:
    """``./solomo token revoke`` with words and what is typed into it; gives the exit code."""
    url = make_url(database_urls.superuser).set(drivername="postgresql")
    if not url.password:
        url = url.set(password="trusted")
    installation.setenv("SOLOMO_DATABASE_URL", url.render_as_string(hide_password=False))

    async def run(*words: str, typed: str = "") -> int:
        installation.setattr("sys.stdin", io.StringIO(typed))
        return await asyncio.to_thread(main, ["token", "revoke", *words])

    return run


async def is_refused(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> bool:
    """Whether a token that was good is refused before long."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (await client.get(path, headers=headers)).status_code == 401:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_a_token_read_from_standard_input_is_refused_by_both_services(
    revoke: Revoke,
    geo: httpx.AsyncClient,
    member: httpx.AsyncClient,
    tokens: Tokens,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stolen, kept = tokens("server", name="shop"), tokens("server", name="shop")
    assert (await geo.get("/v1/stores", headers=stolen)).status_code == 200

    assert await revoke(typed=stolen["Authorization"].removeprefix("Bearer ") + "\n") == 0

    assert "of server shop" in capsys.readouterr().out
    assert await is_refused(geo, "/v1/stores", stolen)
    assert await is_refused(member, "/v1/feed", stolen)
    assert (await geo.get("/v1/stores", headers=kept)).status_code == 200


async def test_a_token_is_revoked_by_the_id_it_was_printed_with(
    revoke: Revoke, geo: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ["token", "server", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)

    assert await revoke(printed["token_id"]) == 0
    assert await revoke(printed["token_id"], "--json") == 0

    assert await is_refused(geo, "/v1/stores", {"Authorization": f"Bearer {printed['token']}"})


async def test_a_token_in_a_file_is_revoked(
    revoke: Revoke, geo: httpx.AsyncClient, tokens: Tokens, tmp_path: Path
) -> None:
    stolen = tokens("marketer")
    file = tmp_path / "token"
    file.write_text(stolen["Authorization"].removeprefix("Bearer "))

    assert await revoke("--token-file", str(file)) == 0

    assert await is_refused(geo, "/v1/stores", stolen)


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        ([], "", "There is no token"),
        ([], "no.such.token", "nothing to revoke"),
        (["a.b.c"], "", "not a token's id"),
        (["--token-file", "/nowhere"], "", "cannot be read"),
    ],
)
async def test_what_cannot_be_revoked_is_told(
    words: list[str], typed: str, said: str, revoke: Revoke, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await revoke(*words, typed=typed) == 1
    assert said in capsys.readouterr().err


async def test_a_database_that_is_away_is_told(
    revoke: Revoke, installation: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installation.setenv("SOLOMO_DATABASE_URL", "postgresql://admin:secret@127.0.0.1:1/solomo")

    assert await revoke(uuid4().hex) == 1

    told = capsys.readouterr().err
    assert "Nothing was revoked" in told
    assert "secret" not in told

"""``./solomo wechat``: accounts without a secret in an argument."""

import io
import json
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from cli.output import CommandFailed
from cli.wechat_secrets import parse_secrets
from services.geo_api.wechat.accounts.notices import NoticeKind, note
from services.geo_api.wechat.accounts.outreach_schemas import OUTREACH_EXAMPLE
from services.geo_api.wechat.accounts.schemas import ACCOUNT_EXAMPLE
from tests.cli.data.conftest import Ran, Run
from tests.conftest import Switchboard, Tokens
from tests.geo_api.wechat.factories import NOW
from tests.geo_api.wechat.pretending import API_HOSTS, PretendedWeChat

SECRETS = {name: ACCOUNT_EXAMPLE[name] for name in ("token", "aes_key", "app_secret")}


class Wechat:
    def __init__(self, solomo: Run, geo_url: str, secrets: Path) -> None:
        self.solomo, self.geo_url, self.secrets = solomo, geo_url, secrets

    async def __call__(self, *words: object) -> Ran:
        return await self.solomo("wechat", *words, "--geo-url", self.geo_url)

    async def add(self, *words: object) -> Ran:
        kind = ("--kind", "service", "--name", "Lakeside Tea", "--app-id", "wx0011223344556677")
        return await self("add", "tea", *kind, "--secrets", self.secrets, *words)


@pytest.fixture
def wechat(solomo: Run, geo_url: str, tmp_path: Path) -> Wechat:
    secrets = tmp_path / "secrets"
    secrets.write_text("".join(f"{name} = {secret}\n" for name, secret in SECRETS.items()))
    return Wechat(solomo, geo_url, secrets)


async def test_an_account_is_added_listed_shown_changed_and_removed(wechat: Wechat) -> None:
    added = await wechat.add("--location-datum", "gcj02")
    assert (added.code, added.err) == (0, "")
    assert "./solomo wechat check tea" in added.out
    assert (await wechat.add()).code == 1

    listed = await wechat("accounts")
    assert "wx0011223344556677" in listed.out
    assert "token, aes_key, app_secret" in listed.out

    changed = await wechat("add", "tea", "--change", "--name", "Tea at the Lake", "--json")
    assert (changed.code, changed.document["version"]) == (0, 2)
    assert changed.document["location_datum"] == "gcj02"
    assert changed.document["app_secret"] == {"set": True}

    shown = await wechat("show", "tea")
    assert json.loads(shown.out)["name"] == "Tea at the Lake"

    removed = await wechat("remove", "tea", "--yes")
    assert (removed.code, removed.out) == (0, "Closed tea.\n")
    assert (await wechat("accounts", "--json")).document == {"accounts": []}
    for ran in (added, listed, changed, shown, removed):
        assert not any(secret in ran.out + ran.err for secret in SECRETS.values())


async def test_without_a_terminal_nothing_is_removed_unless_it_is_said(
    wechat: Wechat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wechat.add()
    monkeypatch.setattr("sys.stdin", io.StringIO())
    asked = await wechat("remove", "tea")
    assert (asked.code, "--yes" in asked.err) == (1, True)
    assert (await wechat("show", "tea")).code == 0


async def test_an_id_is_one_part_of_the_address_whatever_it_is_made_of(wechat: Wechat) -> None:
    await wechat.add()
    for words in (("show", "tea?x"), ("show", "x/../tea"), ("show", "tea\n")):
        strange = await wechat(*words)
        assert (strange.code, "Traceback" in strange.err) == (1, False), words
    assert (await wechat("settle", "..\n")).code == 1


async def test_outreach_comes_from_a_file(wechat: Wechat, tmp_path: Path) -> None:
    path = tmp_path / "outreach.json"
    path.write_text(json.dumps(OUTREACH_EXAMPLE))
    added = await wechat.add("--outreach", path, "--json")
    assert added.document["outreach"] == OUTREACH_EXAMPLE


async def test_what_is_missing_is_named(wechat: Wechat) -> None:
    ran = await wechat("add", "tea", "--name", "Tea", "--secrets", wechat.secrets)
    assert ran.code == 1
    assert "--kind, --app-id" in ran.err


async def test_the_check_tells_in_words_what_is_wrong(
    wechat: Wechat, switchboard: Switchboard
) -> None:
    pretended = PretendedWeChat()
    switchboard.apps |= dict.fromkeys(API_HOSTS, pretended.app)
    await wechat.add("--original-id", "gh_51a2b3c4d5e6")
    assert (await wechat("check", "tea")).code == 0

    refusal = {"errcode": 40164, "errmsg": "invalid ip 203.0.113.7, not in whitelist rid: 1-2-3-4"}
    pretended.answers["/cgi-bin/stable_token"] = refusal
    ran = await wechat("check", "tea")
    assert ran.code == 1
    first = ran.out.splitlines()[0]
    assert first.startswith("   wrong  address: 203.0.113.7")
    assert "errcode 40164, rid 1-2-3-4" in ran.out


async def test_the_address_for_wechat_s_console_is_shown(wechat: Wechat) -> None:
    await wechat.add()
    unknown = await wechat("url", "tea")
    assert unknown.code == 1
    assert "SOLOMO_GEO_PUBLIC_URL" in unknown.err

    ran = await wechat("url", "tea", "--public-url", "https://shop.example/", "--json")
    assert ran.document == {
        "url": "https://shop.example/v1/wechat/tea/callback",
        "mode": "secure",
        "format": "xml",
    }


async def test_notices_are_shown_and_settled(
    wechat: Wechat, geo_app: FastAPI, geo: httpx.AsyncClient, tokens: Tokens
) -> None:
    await wechat.add()
    assert (await wechat("notices")).out == "There is nothing to look at.\n"
    async with geo_app.state.database.begin() as connection:
        await note(connection, "tea", NoticeKind.PUSHES_PARKED, "Three pushes wait.", NOW)

    shown = await wechat("notices")
    assert "Three pushes wait." in shown.out
    listed = await geo.get("/v1/wechat/notices", headers=tokens("marketer"))
    settled = await wechat("settle", listed.json()["items"][0]["id"])
    assert settled.out == "Settled: Three pushes wait.\n"


def test_secrets_are_read_as_lines_and_as_json() -> None:
    lines = "# of the tea house\n" + "".join(f"{n}={s}\n" for n, s in SECRETS.items())
    assert parse_secrets(lines) == parse_secrets(json.dumps(SECRETS)) == SECRETS
    assert parse_secrets("app_secret=a=b==\n") == {"app_secret": "a=b=="}
    assert parse_secrets('{"token": "abc", "aes_key": null}') == {"token": "abc"}


@pytest.mark.parametrize(
    "text", ["hunter2", "password=hunter2", '{"token": 7}', "{hunter2", "token="]
)
def test_what_is_no_secret_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        parse_secrets(text)
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


async def test_no_option_takes_a_secret(wechat: Wechat) -> None:
    for option in ("--token", "--aes-key", "--app-secret"):
        with pytest.raises(SystemExit):
            await wechat("add", "tea", option, "x")

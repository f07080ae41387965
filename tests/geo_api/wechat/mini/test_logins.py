"""Logging in by codes of ``wx.login``, against the stand-in."""

import asyncio
from typing import Any

import pytest

from services.geo_api.wechat.mini.repository import session_context
from shared.auth import Role
from shared.identity import Namespace, normalise, subject_id
from shared.limits import Rate
from tests.conftest import Tokens
from tests.geo_api.wechat.mini.told import told
from tests.geo_api.wechat.stand_in import MINI, SERVICE, Rehearsal

pytestmark = pytest.mark.slow


def subjects_of(rehearsal: Rehearsal, name: str) -> tuple[str, str]:
    """Those of a person's openid and unionid."""
    account = rehearsal.world.accounts[MINI]
    key, openid = rehearsal.tools.keys.identity, rehearsal.world.fan(name, account).openid
    unionid = rehearsal.world.unionid(name, account) or ""
    return (
        str(subject_id(key, normalise(Namespace.WECHAT_OPENID, account.app_id, openid))),
        str(subject_id(key, normalise(Namespace.WECHAT_UNIONID, "open", unionid))),
    )


async def session_keys(rehearsal: Rehearsal) -> list[str]:
    """Those that are kept, opened."""
    async with rehearsal.tools.database.begin() as connection:
        rows = await connection.exec_driver_sql("SELECT * FROM geo.wechat_users")
        storage = rehearsal.tools.keys.storage
        return [
            storage.decrypt(
                row.session_key, session_context(row.subject_id, row.account_id)
            ).decode()
            for row in rows
        ]


async def test_a_code_gives_the_token_of_its_person(rehearsal: Rehearsal) -> None:
    answer = await rehearsal.login("mei")
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"token", "token_type", "expires_at"}
    principal = rehearsal.app.state.verifier.verify(answer.json()["token"])
    openid, _ = subjects_of(rehearsal, "mei")
    assert (principal.role, str(principal.subject_id)) == (Role.MEMBER, openid)


async def test_openid_and_unionid_are_told_as_one_person(rehearsal: Rehearsal) -> None:
    await rehearsal.login("mei")
    openid, unionid = subjects_of(rehearsal, "mei")
    observed = await told(rehearsal.tools.database, "identity_observed")
    (joined,) = await told(rehearsal.tools.database, "identities_joined")
    assert sorted(fact["subject"] for fact in observed) == sorted([openid, unionid])
    assert joined["subject"] == openid
    assert joined["data"] == {"other": unionid, "evidence": "wechat_unionid"}


async def test_an_app_that_is_bound_to_nothing_has_no_unionid(rehearsal: Rehearsal) -> None:
    rehearsal.world.put_account(MINI, bound=False)
    assert (await rehearsal.login("mei")).status_code == 201
    assert await told(rehearsal.tools.database, "identities_joined") == []
    rehearsal.world.put_account(MINI, bound=True)
    await rehearsal.login("mei")
    assert len(await told(rehearsal.tools.database, "identities_joined")) == 1


async def test_the_next_login_tells_no_identity_again(rehearsal: Rehearsal) -> None:
    for _ in range(3):
        assert (await rehearsal.login("mei")).status_code == 201
    joins = await told(rehearsal.tools.database, "identities_joined")
    assert len(await told(rehearsal.tools.database, "identity_observed")) == 2
    assert len({fact["id"] for fact in joins}) == 1


async def test_the_newest_session_key_is_kept_encrypted_and_nowhere_else(
    rehearsal: Rehearsal,
) -> None:
    texts = [(await rehearsal.login("mei")).text for _ in range(2)]
    newest = rehearsal.world.fan("mei", rehearsal.world.accounts[MINI]).session_key
    assert newest is not None
    assert await session_keys(rehearsal) == [newest]
    assert not [text for text in texts if newest in text]
    async with rehearsal.tools.database.begin() as connection:
        rows = await connection.exec_driver_sql("SELECT u::text FROM geo.wechat_users AS u")
        (row,) = rows.scalars()
    assert newest not in row
    assert newest.encode().hex() not in row


async def test_a_code_counts_once_and_the_refusal_says_what_to_do(rehearsal: Rehearsal) -> None:
    code = (await rehearsal.act("mei", "open"))["code"]
    first, again = [await rehearsal.log_in_with(code) for _ in range(2)]
    unknown = await rehearsal.log_in_with("no-such-code")
    assert first.status_code == 201
    for refused in (again, unknown):
        assert refused.status_code == 422
        (fault,) = refused.json()["errors"]
        assert fault["pointer"] == "/wechat/code"
        assert "Call wx.login again" in fault["detail"]


async def test_of_many_requests_with_one_code_one_logs_in(rehearsal: Rehearsal) -> None:
    code = (await rehearsal.act("mei", "open"))["code"]
    answers = await asyncio.gather(*(rehearsal.log_in_with(code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 4


async def test_one_person_logging_in_many_times_at_once_is_one_person(
    rehearsal: Rehearsal,
) -> None:
    codes = [(await rehearsal.act("mei", "open"))["code"] for _ in range(5)]
    answers = await asyncio.gather(*(rehearsal.log_in_with(code) for code in codes))
    assert {answer.status_code for answer in answers} == {201}
    assert len(await told(rehearsal.tools.database, "identity_observed")) == 2
    assert len(await session_keys(rehearsal)) == 1


@pytest.mark.parametrize(
    ("fault", "status", "slug"),
    [
        ({"kind": "error", "errcode": -1}, 503, "wechat-away"),
        ({"kind": "error", "errcode": 45011}, 503, "wechat-away"),
        ({"kind": "cut"}, 503, "wechat-away"),
        ({"kind": "error", "errcode": 40226}, 403, "wechat-person-blocked"),
        ({"kind": "error", "errcode": 40125}, 503, "wechat-account-not-in-order"),
        ({"kind": "error", "errcode": 99999}, 503, "wechat-account-not-in-order"),
    ],
)
async def test_every_trouble_is_told_for_what_it_is(
    rehearsal: Rehearsal, fault: dict[str, Any], status: int, slug: str
) -> None:
    await rehearsal.fault(**fault, path="/sns/jscode2session", left=1)
    refused = await rehearsal.login("mei")
    assert (refused.status_code, refused.json()["type"]) == (status, f"/problems/{slug}")
    assert ("retry-after" in refused.headers) == (status == 503)
    assert (await rehearsal.login("mei")).status_code == 201


async def test_a_wrong_secret_is_noted_for_operators(rehearsal: Rehearsal) -> None:
    await rehearsal.connect(MINI, app_secret="0" * 32)
    refused = await rehearsal.login("mei")
    notices = await rehearsal.geo.get("/v1/wechat/notices", headers=rehearsal.server)
    assert refused.status_code == 503
    assert "secret" not in refused.text.lower()
    assert [n["kind"] for n in notices.json()["items"]] == ["credentials_refused"]


async def test_official_accounts_and_unknown_ones_log_nobody_in(rehearsal: Rehearsal) -> None:
    code = (await rehearsal.act("mei", "open"))["code"]
    assert (await rehearsal.log_in_with(code, SERVICE)).status_code == 409
    assert (await rehearsal.log_in_with(code, "nobody")).status_code == 404
    assert rehearsal.calls("jscode2session") == 0


async def test_logins_are_limited_by_address_and_by_account(rehearsal: Rehearsal) -> None:
    limiter = rehearsal.app.state.limiter
    for kind, status in (("logins from this address", 429), ("logins at this account", 429)):
        usual = dict(limiter.rates)
        limiter.rates = usual | {kind: Rate(0.001, 2)}
        limiter._buckets.clear()
        answers = [(await rehearsal.log_in_with("x")).status_code for _ in range(3)]
        assert answers == [422, 422, status], kind
        limiter.rates = usual


async def test_the_address_behind_a_trusted_proxy_counts(rehearsal: Rehearsal) -> None:
    limiter = rehearsal.app.state.limiter
    limiter.rates = dict(limiter.rates) | {"logins from this address": Rate(0.001, 1)}
    body = {"wechat": {"account_id": MINI, "code": "x"}}
    seen = []
    for forwarded in ("203.0.113.5", "203.0.113.6", "10.9.9.9, 203.0.113.5"):
        headers = {"X-Forwarded-For": forwarded}
        seen.append(await rehearsal.geo.post("/v1/sessions", json=body, headers=headers))
    assert [answer.status_code for answer in seen] == [422, 422, 429]


async def test_the_form_for_servers_needs_a_server_token(
    rehearsal: Rehearsal, tokens: Tokens
) -> None:
    body = {"subject": {"namespace": "app_user", "issuer": "demo", "value": "42"}}
    statuses = {}
    for role in ("marketer", "staff", "server"):
        headers = tokens(role, store_id="s1")
        answer = await rehearsal.geo.post("/v1/sessions", json=body, headers=headers)
        statuses[role] = answer.status_code
    bare = await rehearsal.geo.post("/v1/sessions", json=body)
    forged = await rehearsal.geo.post(
        "/v1/sessions", json=body, headers={"Authorization": "Bearer x"}
    )
    assert statuses == {"marketer": 403, "staff": 403, "server": 201}
    assert (bare.status_code, forged.status_code) == (401, 401)


async def test_an_old_token_that_comes_along_hinders_no_login(rehearsal: Rehearsal) -> None:
    code = (await rehearsal.act("mei", "open"))["code"]
    answer = await rehearsal.geo.post(
        "/v1/sessions",
        json={"wechat": {"account_id": MINI, "code": code}},
        headers={"Authorization": "Bearer expired.long.ago"},
    )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {
            "subject": {"namespace": "app_user", "issuer": "demo", "value": "42"},
            "wechat": {"account_id": MINI, "code": "x"},
        },
        {"wechat": {"account_id": MINI, "code": "with blank"}},
        {"wechat": {"account_id": MINI, "code": ""}},
        {"wechat": {"account_id": MINI}},
    ],
)
async def test_a_session_is_for_one_or_the_other(rehearsal: Rehearsal, body: Any) -> None:
    answer = await rehearsal.geo.post("/v1/sessions", json=body, headers=rehearsal.server)
    assert answer.status_code == 422

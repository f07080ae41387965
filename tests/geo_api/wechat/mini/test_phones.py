"""Sharing a phone number by the button's code, against the stand-in."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.identity import Namespace, normalise, subject_id
from tests.conftest import Tokens
from tests.geo_api.wechat.mini.told import told
from tests.geo_api.wechat.stand_in import MINI, SERVICE, Rehearsal

pytestmark = pytest.mark.slow

MEI, ADA = "+8613800000001", "+12025550101"


async def share(rehearsal: Rehearsal, headers: dict[str, str], code: str) -> httpx.Response:
    return await rehearsal.geo.post(
        f"/v1/wechat/{MINI}/phone", json={"code": code}, headers=headers
    )


async def code_of(rehearsal: Rehearsal, name: str) -> str:
    return str((await rehearsal.act(name, "share_phone"))["code"])


def phone_subject(rehearsal: Rehearsal, number: str) -> str:
    key = rehearsal.tools.keys.identity
    return str(subject_id(key, normalise(Namespace.PHONE, "", number)))


@pytest.mark.parametrize(
    ("name", "number", "shown"), [("mei", MEI, "+86138****0001"), ("ada", ADA, "+120****0101")]
)
async def test_a_number_is_told_as_the_persons_own_and_shown_by_its_end(
    rehearsal: Rehearsal, name: str, number: str, shown: str
) -> None:
    mei = await rehearsal.member(name)
    answer = await share(rehearsal, mei, await code_of(rehearsal, name))
    assert (answer.status_code, answer.json()) == (200, {"phone": shown})
    joins = await told(rehearsal.tools.database, "identities_joined")
    (joined,) = [fact for fact in joins if fact["data"]["evidence"] == "wechat_phone"]
    assert joined["data"]["other"] == phone_subject(rehearsal, number)
    observed = await told(rehearsal.tools.database, "identity_observed")
    assert phone_subject(rehearsal, number) in {fact["subject"] for fact in observed}
    assert number[1:] not in str(observed + joins)


async def test_the_same_code_gets_the_same_answer_and_wechat_is_asked_once(
    rehearsal: Rehearsal,
) -> None:
    mei, code = await rehearsal.member("mei"), await code_of(rehearsal, "mei")
    answers = [await share(rehearsal, mei, code) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.content for answer in answers}) == 1
    assert rehearsal.calls("getuserphonenumber") == 1


async def test_the_same_code_many_times_at_once_joins_once(rehearsal: Rehearsal) -> None:
    mei, code = await rehearsal.member("mei"), await code_of(rehearsal, "mei")
    answers = await asyncio.gather(*(share(rehearsal, mei, code) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {200, 422}
    assert (await share(rehearsal, mei, code)).status_code == 200
    joins = await told(rehearsal.tools.database, "identities_joined")
    by_phone = [fact for fact in joins if fact["data"]["evidence"] == "wechat_phone"]
    assert len(by_phone) == 1


async def test_a_number_that_somebody_has_is_answered_like_any_other(
    rehearsal: Rehearsal,
) -> None:
    rehearsal.world.person("ada").phone = MEI
    answers = []
    for name in ("mei", "ada"):
        headers = await rehearsal.member(name)
        answers.append(await share(rehearsal, headers, await code_of(rehearsal, name)))
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    observed = await told(rehearsal.tools.database, "identity_observed")
    whose = [fact["subject"] for fact in observed]
    assert whose.count(phone_subject(rehearsal, MEI)) == 1


async def test_a_code_of_somebody_else_is_worth_nothing(rehearsal: Rehearsal) -> None:
    mei = await rehearsal.member("mei")
    refused = await share(rehearsal, mei, await code_of(rehearsal, "ada"))
    login_code = (await rehearsal.act("mei", "open"))["code"]
    of_login = await share(rehearsal, mei, login_code)
    for answer in (refused, of_login):
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == "/code"
        assert "tap the button again" in fault["detail"]


async def test_whoever_never_logged_in_there_shares_nothing(
    rehearsal: Rehearsal, tokens: Tokens
) -> None:
    body = {"subject": {"namespace": "app_user", "issuer": "demo", "value": "42"}}
    opened = await rehearsal.geo.post("/v1/sessions", json=body, headers=rehearsal.server)
    stranger = {"Authorization": f"Bearer {opened.json()['token']}"}
    refused = await share(rehearsal, stranger, await code_of(rehearsal, "mei"))
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/wechat-not-logged-in")
    assert rehearsal.calls("getuserphonenumber") == 0
    mei = await rehearsal.member("mei")
    official = await rehearsal.geo.post(
        f"/v1/wechat/{SERVICE}/phone", json={"code": "x"}, headers=mei
    )
    assert official.status_code == 409


@pytest.mark.parametrize(
    ("fault", "slug"),
    [
        ({"kind": "error", "errcode": -1}, "wechat-away"),
        ({"kind": "cut"}, "wechat-away"),
        ({"kind": "error", "errcode": 48001}, "wechat-account-not-in-order"),
    ],
)
async def test_a_trouble_of_wechats_is_told_and_changes_nothing(
    rehearsal: Rehearsal, fault: dict[str, Any], slug: str
) -> None:
    mei = await rehearsal.member("mei")
    await rehearsal.fault(**fault, path="/wxa/business/getuserphonenumber", left=1)
    refused = await share(rehearsal, mei, await code_of(rehearsal, "mei"))
    assert (refused.status_code, refused.json()["type"]) == (503, f"/problems/{slug}")
    joins = await told(rehearsal.tools.database, "identities_joined")
    assert [fact["data"]["evidence"] for fact in joins] == ["wechat_unionid"]

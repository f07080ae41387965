from datetime import UTC, datetime

import httpx
import pytest

from tests.wechat_sandbox.conftest import NOON, Phone
from wechat_sandbox.app import create_app
from wechat_sandbox.clock import Clock
from wechat_sandbox.example import MINI, SERVICE, furnish
from wechat_sandbox.world import World


async def test_a_new_account_gets_what_it_was_not_given_and_a_change_leaves_the_rest(
    wechat: httpx.AsyncClient,
) -> None:
    path = "/sandbox/accounts/tea"
    made = (await wechat.put(path, json={"kind": "mini_program", "token": "abc123"})).json()
    assert made["app_id"].startswith("wx")
    assert (made["token"], len(made["aes_key"])) == ("abc123", 43)
    changed = (await wechat.put(path, json={"mode": "plain"})).json()
    assert changed == {**made, "mode": "plain"}
    assert (await wechat.get(path)).json() == changed


@pytest.mark.parametrize(
    "wrong",
    [{"app_id": "nothing"}, {"aes_key": "short"}, {"token": "!"}, {"callback_url": "nowhere"},
     {"templates": {"t": ["colour1"]}}, {"nothing": 1}],
)  # fmt: skip
async def test_an_account_that_wechat_could_not_have_is_refused(
    wechat: httpx.AsyncClient, wrong: dict[str, object]
) -> None:
    answer = await wechat.put("/sandbox/accounts/tea", json=wrong)
    assert answer.status_code == 422
    assert "tea" not in (await wechat.get("/sandbox")).json()["accounts"]


async def test_a_page_of_the_web_cannot_direct_it(wechat: httpx.AsyncClient) -> None:
    """A form or a plain text from another origin needs no leave of the browser; JSON does."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": kind}
        body = b'{"kind": "error"}'
        answer = await wechat.post("/sandbox/faults", content=body, headers=headers)
        assert answer.status_code == 422
    assert (await wechat.get("/sandbox/faults")).json() == {"items": []}


async def test_two_accounts_cannot_have_one_app_id(wechat: httpx.AsyncClient, world: World) -> None:
    taken = {"app_id": world.accounts[SERVICE].app_id}
    assert (await wechat.put(f"/sandbox/accounts/{MINI}", json=taken)).status_code == 409


async def test_what_cannot_be_done_is_told_in_a_sentence(
    phone: Phone, wechat: httpx.AsyncClient
) -> None:
    assert "nobody called 'bob'" in await phone.refused("bob", "follow")
    assert "no account 'none'" in await phone.refused("mei", "follow", "none")
    assert "is a mini-program" in await phone.refused("mei", "follow", MINI)
    assert "does not follow" in await phone.refused("mei", "say", text="hello")
    assert "no code for the scene" in await phone.refused("mei", "scan", scene="none")
    assert "not a mini-program" in await phone.refused("mei", "open", SERVICE)
    answers = {"none": "accept"}
    assert "'none' is not a template" in await phone.refused(
        "mei", "answer_subscriptions", MINI, answers=answers
    )
    await wechat.put("/sandbox/people/bob", json={})
    assert "has no phone number" in await phone.refused("bob", "share_phone", MINI)
    await phone("mei", "follow")
    assert "follows shop already" in await phone.refused("mei", "follow")


async def test_only_verified_service_accounts_hear_where_people_are(
    phone: Phone, world: World
) -> None:
    await phone("mei", "follow")
    world.put_account(SERVICE, verified=False)
    refused = await phone.refused("mei", "report_location", latitude=1, longitude=2)
    assert "Only verified" in refused


async def test_a_person_is_shown_as_each_account_knows_them(
    phone: Phone, wechat: httpx.AsyncClient
) -> None:
    await phone("mei", "follow")
    await phone("mei", "open", MINI)
    shown = (await wechat.get("/sandbox/people/mei")).json()
    assert shown["at"][SERVICE]["follows"]
    assert shown["at"][SERVICE]["windows"] == [{"why": "touch", "closes_in_s": 60.0, "left": 3}]
    assert not shown["at"][MINI]["follows"]
    people = (await wechat.get("/sandbox/people")).json()["items"]
    assert [person["name"] for person in people] == ["mei", "ada"]


async def test_the_scene_of_a_mini_program_code_comes_encoded_into_the_page(phone: Phone) -> None:
    told = await phone("mei", "open", MINI, scene="s=store-1&k=li")
    assert told["query"] == {"scene": "s%3Dstore-1%26k%3Dli"}


async def test_ageing_leaves_the_time_of_pushes_and_setting_moves_both(
    wechat: httpx.AsyncClient, clock: Clock
) -> None:
    await wechat.post("/sandbox/clock", json={"advance_s": 3_600})
    assert (clock.stamp(), clock.now()) == (NOON, NOON + 3_600)
    told = await wechat.post("/sandbox/clock", json={"now": "2027-01-01T00:00:00Z"})
    assert told.json() == {"stamp": "2027-01-01T00:00:00+00:00", "now": "2027-01-01T00:00:00+00:00"}
    assert clock.stamp() == datetime(2027, 1, 1, tzinfo=UTC).timestamp()


async def test_the_same_seed_gives_the_same_accounts_and_another_seed_others() -> None:
    made = []
    for seed in ("1", "1", "2"):
        app = create_app(seed=seed)
        made.append(furnish(app.state.world))
        await app.state.client.aclose()
    assert made[0] == made[1]
    assert made[0][0].app_id != made[2][0].app_id


async def test_the_interface_can_be_read_and_tried(wechat: httpx.AsyncClient) -> None:
    assert (await wechat.get("/docs")).status_code == 200
    acts = (await wechat.get("/openapi.json")).json()["paths"]["/sandbox/people/{name}/acts"]
    mapping = acts["post"]["requestBody"]["content"]["application/json"]["schema"]["discriminator"]
    assert len(mapping["mapping"]) == 18

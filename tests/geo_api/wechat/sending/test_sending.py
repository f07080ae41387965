"""A coupon is won, and told by the route that its winner permits: against WeChat's stand-in."""

from datetime import UTC, datetime, timedelta

import pytest

from services.geo_api.wechat.accounts.notices import NoticeKind
from shared.identity import Namespace, normalise, subject_id
from tests.geo_api.checkins.audience import MemberVoice, erasure, facts
from tests.geo_api.wechat.sending.shop import MARKETING, MINI, REFUSED, SERVICE, Shop
from wechat_sandbox.example import COUPON_TEMPLATE

pytestmark = pytest.mark.slow


async def test_a_coupon_reaches_whoever_accepted_its_template_and_its_arrival_is_told(
    shop: Shop,
) -> None:
    await shop.connect(MINI)
    await shop.accept()
    coupon_id = await shop.win()
    (message,) = await shop.becomes("delivered")
    (received,) = shop.inbox()
    assert received["template_id"] == COUPON_TEMPLATE
    assert received["page"] == "pages/coupon/index"
    assert (received["data"]["thing1"], received["data"]["thing2"]) == ("5 off", "Store")
    assert (message["coupon_id"], message["account_id"]) == (coupon_id, MINI)
    assert (message["route"], message["store_id"]) == ("subscribe_message", "s1")
    assert await shop.told() == [(1, "sent", None), (2, "delivered", None)]
    assert await shop.grants() == ["spent"]


async def test_without_a_permission_nothing_goes_until_one_comes(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.act("mei", "enter_chat")
    await shop.win()
    await shop.looked_at("no_consent")
    assert shop.inbox() == []
    await shop.accept()
    await shop.becomes("delivered")
    assert len(shop.inbox()) == 1


async def test_who_is_not_known_to_an_account_that_writes_gets_no_message(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.accept()
    stranger = {"namespace": "app_user", "issuer": "demo", "value": "somebody"}
    await shop.win(subject=stranger)
    assert await shop.messages() == []


async def test_nothing_is_planned_while_outreach_is_off(shop: Shop) -> None:
    await shop.connect(MINI, enabled=False)
    await shop.accept()
    await shop.win()
    assert await shop.messages() == []


async def test_a_text_goes_within_a_window_to_who_agreed_to_marketing(
    shop: Shop, voice: MemberVoice
) -> None:
    await shop.connect(SERVICE)
    await shop.act("mei", "follow", SERVICE)
    await voice.tell(facts(shop.subject("mei", SERVICE), consents=MARKETING))
    await shop.win(account_id=SERVICE)
    (message,) = await shop.becomes("sent")
    assert (message["route"], message["reason"]) == ("custom_message", None)
    (received,) = shop.inbox(account_id=SERVICE)
    assert received["content"].startswith("5 off · Store, until ")
    assert await shop.told() == [(1, "sent", None)]
    assert await shop.value("SELECT used FROM geo.wechat_windows") == 1


async def test_a_refusal_of_marketing_ends_what_a_grant_would_allow(
    shop: Shop, voice: MemberVoice
) -> None:
    """Who had refused before wins no coupon in the first place."""
    await shop.connect(MINI)
    await shop.act("mei", "enter_chat")
    await shop.win()
    await shop.looked_at("no_consent")
    await voice.tell(facts(shop.subject("mei"), consents=REFUSED))
    await shop.accept()
    (message,) = await shop.becomes("dropped")
    assert message["reason"] == "marketing_refused"
    assert shop.inbox() == []
    assert await shop.told() == [(1, "dropped", "marketing_refused")]
    assert await shop.grants() == ["open"]


async def test_what_a_sibling_permits_is_permitted_and_what_it_refuses_is_refused(
    shop: Shop, voice: MemberVoice
) -> None:
    """The coupons are won in an app; the account knows a sibling."""
    await shop.connect(MINI)
    await shop.accept()
    app_user = {"namespace": "app_user", "issuer": "demo", "value": "mei-in-the-app"}
    in_the_app = normalise(Namespace.APP_USER, "demo", "mei-in-the-app")
    winner = subject_id(shop.rehearsal.tools.keys.identity, in_the_app)
    sibling = shop.subject("mei")
    kin = [str(winner), str(sibling)]
    await voice.tell(facts(winner, siblings=kin), facts(sibling, siblings=kin))
    await shop.win(subject=app_user)
    (message,) = await shop.becomes("delivered")
    assert message["subject_id"] == str(winner)
    assert len(shop.inbox()) == 1

    await shop.offer("o2")
    await shop.win(subject=app_user)
    await shop.becomes("delivered", "waiting")
    await voice.tell(facts(sibling, 2, siblings=kin, consents=REFUSED))
    await shop.accept()
    await shop.becomes("delivered", "dropped")
    assert len(shop.inbox()) == 1


async def test_in_quiet_hours_it_waits_for_their_end(shop: Shop) -> None:
    now = datetime.now(UTC)
    hours = {
        "from": f"{now - timedelta(hours=2):%H:%M}",
        "until": f"{now + timedelta(hours=3):%H:%M}",
    }
    await shop.connect(MINI, quiet_hours=hours, timezone="UTC")
    await shop.accept()
    await shop.win()
    await shop.looked_at("quiet_hours")
    (message,) = await shop.messages()
    assert message["due_at"][11:16] == hours["until"]
    assert shop.inbox() == []
    assert await shop.grants() == ["open"]


async def test_a_coupon_that_was_used_meanwhile_is_not_told(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.act("mei", "enter_chat")
    await shop.win()
    await shop.looked_at("no_consent")
    await shop.rows("UPDATE geo.coupons SET state = 'redeemed', uses = 1")
    await shop.accept()
    (message,) = await shop.becomes("dropped")
    assert message["reason"] == "coupon_used"
    assert shop.inbox() == []


async def test_what_expires_while_it_waits_keeps_why_it_waited(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.act("mei", "enter_chat")
    await shop.win()
    await shop.looked_at("no_consent")
    await shop.rows("UPDATE geo.outreach_messages SET due_at = now(), expires_at = now()")
    (message,) = await shop.becomes("dropped")
    assert message["reason"] == "no_consent"


async def test_a_grant_that_wechat_does_not_know_is_refused_and_a_text_goes_instead(
    shop: Shop, voice: MemberVoice
) -> None:
    await shop.connect(MINI)
    await shop.accept()
    await shop.act("mei", "say", text="hello")
    await voice.tell(facts(shop.subject("mei"), consents=MARKETING))
    world = shop.rehearsal.world
    world.fan("mei", world.accounts[MINI]).grants.clear()
    await shop.win()
    (message,) = await shop.becomes("sent")
    assert message["route"] == "custom_message"
    assert [one["kind"] for one in shop.inbox()] == ["custom"]
    assert await shop.grants() == ["refused"]


async def test_a_window_that_wechat_has_closed_is_closed_here_too(
    shop: Shop, voice: MemberVoice
) -> None:
    await shop.connect(MINI)
    await shop.act("mei", "say", text="hello")
    await voice.tell(facts(shop.subject("mei"), consents=MARKETING))
    world = shop.rehearsal.world
    world.fan("mei", world.accounts[MINI]).windows.clear()
    await shop.win()
    await shop.looked_at("no_channel")
    assert await shop.value("SELECT bool_and(used = allowed) FROM geo.wechat_windows")
    assert shop.inbox() == []
    await shop.act("mei", "say", text="still there?")
    await shop.becomes("sent")
    assert len(shop.inbox()) == 1


async def test_a_value_that_wechat_does_not_take_fails_it_and_operators_learn_the_key(
    shop: Shop,
) -> None:
    data = {"thing1": "{title}", "thing2": "{store}", "time3": "soon"}
    await shop.connect(MINI, coupon={"template_id": COUPON_TEMPLATE, "data": data})
    await shop.accept()
    await shop.win()
    (message,) = await shop.becomes("failed")
    assert message["reason"] == "value_refused"
    assert await shop.grants() == ["open"]
    assert await shop.told() == [(1, "failed", "value_refused")]
    (notice,) = await shop.rows("SELECT kind, detail FROM geo.wechat_notices")
    assert notice[0] == NoticeKind.TEMPLATE_REFUSED
    assert "time3" in notice[1]
    assert COUPON_TEMPLATE in notice[1]


async def test_a_busy_wechat_is_asked_again_later_with_the_same_permission(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.accept()
    await shop.rehearsal.fault(kind="error", errcode=-1, path="/cgi-bin/message", left=1)
    await shop.win()
    (message,) = await shop.becomes("delivered")
    assert message["attempts"] == 2
    assert len(shop.inbox()) == 1
    assert await shop.grants() == ["spent"]


async def test_a_lost_answer_counts_as_sent_and_is_never_repeated(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.accept()
    await shop.rehearsal.fault(kind="cut", handled=True, path="/cgi-bin/message", left=1)
    await shop.win()
    (message,) = await shop.becomes("sent")
    assert (message["reason"], len(shop.inbox())) == ("unknown", 1)
    assert await shop.grants() == ["spent"]


async def test_a_token_that_is_not_to_be_had_uses_no_permission(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.accept()
    await shop.rehearsal.fault(kind="cut", path="/cgi-bin/stable_token", left=None)
    await shop.win()
    await shop.looked_at("channel_unreachable")
    assert await shop.grants() == ["open"]
    assert shop.rehearsal.calls("subscribe/send") == 0


async def test_an_erasure_takes_the_messages_too(shop: Shop, voice: MemberVoice) -> None:
    await shop.connect(MINI)
    await shop.accept()
    await shop.win()
    await shop.becomes("delivered")
    await voice.tell(erasure(shop.subject("mei"), datetime.now(UTC)))
    assert await shop.messages() == []

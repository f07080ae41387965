"""What each of WeChat's answers means for a message."""

import pytest

from services.geo_api.outreach.domain import Reason, Route, State
from services.geo_api.wechat.accounts.notices import NoticeKind
from services.geo_api.wechat.sending.verdicts import (
    Verdict,
    after_asking,
    before_asking,
    sentence,
)
from shared.wechat.answers import WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble, trouble_of

SUBSCRIBE, CUSTOM = Route.SUBSCRIBE_MESSAGE, Route.CUSTOM_MESSAGE


def refused(errcode: int, errmsg: str = "no") -> WeChatRefused:
    return WeChatRefused(trouble_of(errcode), errcode, errmsg, "r-1")


@pytest.mark.parametrize(
    ("errcode", "reason", "notice"),
    [
        (40037, Reason.TEMPLATE_REFUSED, NoticeKind.TEMPLATE_REFUSED),
        (47003, Reason.VALUE_REFUSED, NoticeKind.TEMPLATE_REFUSED),
        (41030, Reason.VALUE_REFUSED, NoticeKind.TEMPLATE_REFUSED),
        (40003, Reason.PERSON_UNKNOWN, NoticeKind.MESSAGE_REFUSED),
        (48001, Reason.NOT_PERMITTED, NoticeKind.NOT_PERMITTED),
        (99999, Reason.REFUSED, NoticeKind.MESSAGE_REFUSED),
    ],
)
def test_a_no_for_good_fails_it_gives_the_permission_back_and_is_noted(
    errcode: int, reason: Reason, notice: NoticeKind
) -> None:
    expected = Verdict(State.FAILED, reason, gives_back=True, notice=notice)
    assert after_asking(refused(errcode), SUBSCRIBE) == expected


@pytest.mark.parametrize("errcode", [43101, 45015, 45047, 48002])
def test_a_permission_that_wechat_does_not_know_is_closed_and_another_is_tried(
    errcode: int,
) -> None:
    verdict = after_asking(refused(errcode), CUSTOM)
    assert (verdict.state, verdict.closes, verdict.gives_back) == (State.WAITING, True, False)
    assert verdict.retry_s == 0


@pytest.mark.parametrize("errcode", [-1, 45011, 43108, 40001, 40013, 40164])
def test_what_passes_or_can_be_mended_is_tried_again_with_the_same_permission(errcode: int) -> None:
    verdict = after_asking(refused(errcode), SUBSCRIBE)
    assert (verdict.state, verdict.gives_back, verdict.retry_s) == (State.WAITING, True, None)


def test_every_trouble_has_its_verdict() -> None:
    for trouble in Trouble:
        for route in Route:
            failure = WeChatRefused(trouble, 1, "no")
            verdict = after_asking(failure, route)
            assert verdict.reason is not None
            assert verdict.gives_back or verdict.closes
            assert verdict.state is not State.SENT
            assert before_asking(failure).gives_back


def test_a_quota_is_left_alone_for_as_long_as_it_says() -> None:
    ours = WeChatRefused(Trouble.QUOTA, None, "used up", retry_after_s=90)
    assert after_asking(ours, CUSTOM).retry_s == 90
    assert after_asking(ours, CUSTOM).notice is None
    theirs = after_asking(refused(45009), CUSTOM)
    assert (theirs.retry_s, theirs.notice) == (300, NoticeKind.QUOTA_USED_UP)


def test_only_what_may_have_been_done_counts_as_sent() -> None:
    lost = WeChatUnreachable("ReadTimeout", maybe_done=True)
    away = WeChatUnreachable("ConnectError", maybe_done=False)
    assert after_asking(lost, SUBSCRIBE) == Verdict(State.SENT, Reason.UNKNOWN)
    for verdict in (after_asking(away, SUBSCRIBE), before_asking(lost), before_asking(away)):
        assert (verdict.state, verdict.reason) == (State.WAITING, Reason.CHANNEL_UNREACHABLE)
        assert verdict.gives_back


def test_operators_read_the_key_and_not_the_value() -> None:
    failure = refused(47003, "argument invalid! data.thing1.value invalid: my secret coupon")
    told = sentence(failure, SUBSCRIBE, "tpl_A")
    assert "thing1 of template tpl_A" in told
    assert "47003, rid r-1" in told
    assert "secret" not in told
    assert "template tpl_A" in sentence(refused(40037), SUBSCRIBE, "tpl_A")
    assert "template" not in sentence(refused(40003), CUSTOM, "tpl_A")

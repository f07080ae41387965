"""What becomes of a message after WeChat was asked to send it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.geo_api.outreach.domain import Reason, Route, State
from services.geo_api.wechat.accounts.notices import NoticeKind
from shared.wechat.answers import WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble, advice_on

Failure = WeChatRefused | WeChatUnreachable

AT_ONCE_S = 0.0
QUOTA_RESTS_S = 300.0
"""WeChat's quotas come back at its midnight, or whenever an operator clears them."""

_KEY = re.compile(r"data\.(\w{1,40})\.value")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``state`` WAITING: it is tried again, after ``retry_s`` or with back-off where that is None.

    ``gives_back``: WeChat surely has not taken it, so the permission is not used. ``closes``: WeChat
    says that there is no such permission. ``notice`` is for operators.
    """

    state: State
    reason: Reason | None = None
    gives_back: bool = False
    closes: bool = False
    retry_s: float | None = None
    notice: NoticeKind | None = None


SENT = Verdict(State.SENT)
UNKNOWN = Verdict(State.SENT, Reason.UNKNOWN)


def before_asking(failure: Failure) -> Verdict:
    """No token was to be had, so that nothing was sent; the tokens tell operators why."""
    if isinstance(failure, WeChatUnreachable):
        return _again(Reason.CHANNEL_UNREACHABLE)
    if failure.trouble is Trouble.QUOTA:
        return _again(Reason.QUOTA_USED_UP, failure.retry_after_s or QUOTA_RESTS_S)
    if failure.trouble is Trouble.BUSY:
        return _again(Reason.CHANNEL_BUSY)
    return _again(Reason.ACCOUNT_REFUSED)


def after_asking(failure: Failure, route: Route) -> Verdict:
    """What a failure of the very call means. What may have been done counts as sent."""
    if isinstance(failure, WeChatUnreachable):
        return UNKNOWN if failure.maybe_done else _again(Reason.CHANNEL_UNREACHABLE)
    if failure.trouble is Trouble.QUOTA:
        ours = failure.errcode is None
        rest_s = failure.retry_after_s or QUOTA_RESTS_S
        return _again(Reason.QUOTA_USED_UP, rest_s, None if ours else NoticeKind.QUOTA_USED_UP)
    if failure.trouble is Trouble.BAD_VALUE and route is Route.CUSTOM_MESSAGE:
        return _never(Reason.VALUE_REFUSED, NoticeKind.MESSAGE_REFUSED)
    return _OF_REFUSALS.get(failure.trouble, _REFUSED)


def _again(
    reason: Reason, retry_s: float | None = None, notice: NoticeKind | None = None
) -> Verdict:
    return Verdict(State.WAITING, reason, gives_back=True, retry_s=retry_s, notice=notice)


def _never(reason: Reason, notice: NoticeKind) -> Verdict:
    """WeChat said no, so the person's permission is there for the next message."""
    return Verdict(State.FAILED, reason, gives_back=True, notice=notice)


_NO_PERMISSION = Verdict(State.WAITING, Reason.NO_CHANNEL, closes=True, retry_s=AT_ONCE_S)
"""Another route may be open."""

_REFUSED = _never(Reason.REFUSED, NoticeKind.MESSAGE_REFUSED)

_OF_REFUSALS: Mapping[Trouble, Verdict] = {
    Trouble.REFUSED_BY_USER: _NO_PERMISSION,
    Trouble.WINDOW_CLOSED: _NO_PERMISSION,
    Trouble.BUSY: _again(Reason.CHANNEL_BUSY),
    Trouble.CONCURRENT: _again(Reason.CHANNEL_BUSY),
    Trouble.TOKEN: _again(Reason.ACCOUNT_REFUSED),
    Trouble.BAD_ACCOUNT: _again(Reason.ACCOUNT_REFUSED, None, NoticeKind.CREDENTIALS_REFUSED),
    Trouble.IP_NOT_ALLOWED: _again(Reason.ACCOUNT_REFUSED, None, NoticeKind.ADDRESS_NOT_ALLOWED),
    Trouble.BAD_TEMPLATE: _never(Reason.TEMPLATE_REFUSED, NoticeKind.TEMPLATE_REFUSED),
    Trouble.BAD_VALUE: _never(Reason.VALUE_REFUSED, NoticeKind.TEMPLATE_REFUSED),
    Trouble.NOT_PERMITTED: _never(Reason.NOT_PERMITTED, NoticeKind.NOT_PERMITTED),
    Trouble.UNKNOWN_USER: _never(Reason.PERSON_UNKNOWN, NoticeKind.MESSAGE_REFUSED),
}


def sentence(failure: Failure, route: Route, template_id: str | None) -> str:
    """What operators read: the code, and the template's key if WeChat names one, but no value."""
    if isinstance(failure, WeChatUnreachable):
        return f"WeChat was not reached: {failure.reason}."
    named = _KEY.search(failure.errmsg)
    where = f" in {named[1]} of template {template_id}" if named else ""
    if not named and route is Route.SUBSCRIBE_MESSAGE:
        where = f" for template {template_id}"
    rid = f", rid {failure.rid}" if failure.rid else ""
    said = advice_on(failure.trouble).sentence
    return f"A {route.replace('_', ' ')} was refused{where} ({failure.errcode}{rid}). {said}"

"""People of mini-programs: how they are refused, and what of them is shown."""

from services.geo_api.wechat.accounts.domain import AccountKind, LiveAccount
from services.geo_api.wechat.accounts.troubles import NotOfThisAccount
from shared.errors import Forbidden
from shared.identity import Identity, Namespace, normalise

OPEN_PLATFORM = "open"
"""Issuer of unionids: the one account of WeChat's open platform that an installation's apps are
bound to."""

_SHOWN, _HIDDEN = 4, 8


class Blocked(Forbidden):
    slug = "wechat-person-blocked"
    title = "WeChat does not let this person log in"


class NotLoggedIn(Forbidden):
    """The token is no one's that logged in to this account."""

    slug = "wechat-not-logged-in"
    title = "This person has not logged in to this mini-program"


def require_mini_program(account: LiveAccount) -> None:
    """Raises NotOfThisAccount: nobody logs in to an official account by a code of wx.login."""
    if account.kind is not AccountKind.MINI_PROGRAM:
        raise NotOfThisAccount(f"Account {account.account_id} is no mini-program.")


def identity_of(account: LiveAccount, openid: str) -> Identity:
    return normalise(Namespace.WECHAT_OPENID, account.app_id, openid)


def union_of(unionid: str) -> Identity:
    return normalise(Namespace.WECHAT_UNIONID, OPEN_PLATFORM, unionid)


def masked(number: str) -> str:
    """An E.164 number with its end alone, such as ``+86138****8000``: enough for its owner."""
    return f"{number[:-_HIDDEN]}****{number[-_SHOWN:]}"

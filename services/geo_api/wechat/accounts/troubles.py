"""What callers of ours are told when WeChat refuses or does not answer, and what operators are."""

from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.accounts.notices import NoticeKind, note
from services.geo_api.wechat.tools import WeChatTools
from shared.errors import Conflict, Refusal, Unavailable
from shared.wechat.answers import Credentials, WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble, advice_on

BUSY_S = 5
_LATER_S = 60

Failure = WeChatRefused | WeChatUnreachable


class WeChatAway(Unavailable):
    slug = "wechat-away"
    title = "WeChat does not answer just now"


class AccountNotInOrder(Unavailable):
    """Something that only the account's operator can mend; a notice says what."""

    slug = "wechat-account-not-in-order"
    title = "The WeChat account is not in order"


class NotOfThisAccount(Conflict):
    """WeChat offers it to accounts of another kind, or to verified ones only."""

    slug = "wechat-not-of-this-account"
    title = "This WeChat account cannot do this"


_NOTED = {
    Trouble.BAD_ACCOUNT: NoticeKind.CREDENTIALS_REFUSED,
    Trouble.IP_NOT_ALLOWED: NoticeKind.ADDRESS_NOT_ALLOWED,
    Trouble.QUOTA: NoticeKind.QUOTA_USED_UP,
    Trouble.NOT_PERMITTED: NoticeKind.NOT_PERMITTED,
    Trouble.TOKEN: NoticeKind.TOKEN_CONTESTED,
}
_PASSING = frozenset({Trouble.BUSY, Trouble.CONCURRENT})


def credentials_of(account: LiveAccount) -> Credentials:
    """Raises AccountNotInOrder for an account without an AppSecret."""
    if account.credentials is None:
        raise AccountNotInOrder(
            "The account has no AppSecret, so WeChat cannot be asked.", retry_after_s=_LATER_S
        )
    return account.credentials


def is_passing(failure: Failure) -> bool:
    """Whether the same may go well in a moment."""
    return isinstance(failure, WeChatUnreachable) or failure.trouble in _PASSING


def refusal_of(failure: Failure, what_next: str) -> Refusal:
    """For callers who are not the operator: nothing of the account is told."""
    if is_passing(failure):
        return WeChatAway(f"WeChat did not answer in time. {what_next}", retry_after_s=BUSY_S)
    return AccountNotInOrder(
        f"WeChat does not serve this account at the moment. {what_next}", retry_after_s=_LATER_S
    )


def refusal_for_operator(failure: Failure) -> Refusal:
    """The same for whoever keeps the account, with WeChat's own words."""
    if isinstance(failure, WeChatUnreachable):
        return WeChatAway(f"WeChat: {failure.reason}.", retry_after_s=BUSY_S)
    said = f"{advice_on(failure.trouble).sentence} (errcode {failure.errcode}, rid {failure.rid})"
    if failure.trouble in _PASSING:
        return WeChatAway(said, retry_after_s=BUSY_S)
    if failure.trouble is Trouble.NOT_PERMITTED:
        return NotOfThisAccount(said, errcode=failure.errcode, rid=failure.rid)
    wait_s = round(failure.retry_after_s or _LATER_S)
    return AccountNotInOrder(said, errcode=failure.errcode, rid=failure.rid, retry_after_s=wait_s)


async def tell_operators(tools: WeChatTools, account_id: str, failure: Failure) -> None:
    """Note what only they can mend; of the rest nothing."""
    if isinstance(failure, WeChatUnreachable) or failure.trouble not in _NOTED:
        return
    detail = advice_on(failure.trouble).sentence
    async with tools.database.begin() as connection:
        await note(connection, account_id, _NOTED[failure.trouble], detail, tools.clock())

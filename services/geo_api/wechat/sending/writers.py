"""Which accounts write to people: those of the process's memory that are allowed to."""

from services.geo_api.outreach.service import NOBODY, Writers
from services.geo_api.wechat.accounts.live import LiveAccounts
from shared.errors import Unavailable


def writers_of(accounts: LiveAccounts) -> Writers:
    """None before the accounts were read for the first time; the process is not ready then."""
    try:
        book = accounts.current.by_id
    except Unavailable:
        return NOBODY
    writing = [account for account in book.values() if account.outreach.enabled]
    return Writers(
        tuple(account.account_id for account in writing),
        frozenset(account.app_id for account in writing),
    )

"""Everything that the stand-in knows, in memory."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from shared.wechat.callback import Format, Mode
from wechat_sandbox.accounts import Account, Kind
from wechat_sandbox.clock import Clock
from wechat_sandbox.codes import Codes
from wechat_sandbox.faults import Faults
from wechat_sandbox.making import Maker
from wechat_sandbox.people import Fan, Person
from wechat_sandbox.pushing import Pusher
from wechat_sandbox.quotas import Quotas
from wechat_sandbox.refusals import NotPossible, Refused
from wechat_sandbox.scenes import Scenes
from wechat_sandbox.tokens import Tokens

_CALLS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API, without its secrets."""

    at: float
    path: str
    account_id: str | None
    errcode: int
    rid: str
    fault: str | None


class World:
    """The accounts, the people, and the rules between them."""

    def __init__(self, *, maker: Maker, clock: Clock, pusher: Pusher) -> None:
        self.clock = clock
        self.maker = maker
        self.pusher = pusher
        self.accounts: dict[str, Account] = {}
        self.people: dict[str, Person] = {}
        self._fans: dict[tuple[str, str], Fan] = {}
        self.quotas = Quotas(self.clock)
        self.tokens = Tokens(self.clock, self.maker, self.quotas)
        self.codes = Codes(self.clock, self.maker)
        self.scenes = Scenes(self.clock, self.maker)
        self.faults = Faults()
        self.calls: deque[Call] = deque(maxlen=_CALLS_KEPT)
        self.send_takes_s = 0.02
        """How long a subscribe message is on its way; another to the same person then is 43108."""

    def account(self, account_id: str) -> Account:
        """Raises NotPossible for an id that is unknown."""
        if account_id not in self.accounts:
            known = ", ".join(sorted(self.accounts)) or "none"
            raise NotPossible(f"There is no account {account_id!r}. Known: {known}.")
        return self.accounts[account_id]

    def put_account(self, account_id: str, **given: Any) -> Account:
        """Add an account or change one; what is not given stays, or is made up for a new one.

        Raises NotPossible for an app id that another account has.
        """
        present = self.accounts.get(account_id) or self._new_account(account_id)
        changed = replace(present, **given)
        others = (one for one in self.accounts.values() if one.account_id != account_id)
        if any(other.app_id == changed.app_id for other in others):
            raise NotPossible(f"Another account has the app id {changed.app_id}.")
        self.accounts[account_id] = changed
        return changed

    def by_app_id(self, app_id: str) -> Account:
        """Raises Refused 41002 for none and 40013 for one that is unknown."""
        if not app_id:
            raise Refused(41002)
        found = next((one for one in self.accounts.values() if one.app_id == app_id), None)
        if found is None:
            raise Refused(40013)
        return found

    def put_person(self, name: str, phone: str | None = None) -> Person:
        person = self.people.setdefault(name, Person(name))
        person.phone = phone or person.phone
        return person

    def person(self, name: str) -> Person:
        """Raises NotPossible for a name that is unknown."""
        if name not in self.people:
            raise NotPossible(f"There is nobody called {name!r}: PUT /sandbox/people/{name} first.")
        return self.people[name]

    def fan(self, name: str, account: Account) -> Fan:
        """The person as the account knows them. Raises NotPossible for a name that is unknown."""
        person = self.person(name)
        if account.account_id not in person.fans:
            openid = self.maker.openid(account.app_id, name)
            person.fans[account.account_id] = self._fans[account.app_id, openid] = Fan(openid)
        return person.fans[account.account_id]

    def by_openid(self, account: Account, openid: object) -> Fan:
        """Raises Refused 40003 for an openid that the account does not know any more, or never did."""
        fan = self._fans.get((account.app_id, str(openid)))
        if fan is None or fan.cancelled:
            raise Refused(40003)
        return fan

    def unionid(self, name: str, account: Account) -> str | None:
        return self.maker.unionid(name) if account.bound else None

    def push(self, account: Account, document: dict[str, Any]) -> int | None:
        """Send to the account's callback, if it has one; gives back the push's number."""
        if account.callback_url is None:
            return None
        return self.pusher.push(account, document).number

    def _new_account(self, account_id: str) -> Account:
        maker = self.maker
        return Account(
            account_id=account_id,
            kind=Kind.SERVICE,
            app_id=maker.app_id(account_id),
            app_secret=maker.app_secret(account_id),
            original_id=maker.original_id(account_id),
            format=Format.XML,
            mode=Mode.SECURE,
            token=maker.push_token(account_id),
            aes_key=maker.aes_key(account_id),
        )

"""What a WeChat account is, and which changes to one are allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.geo_api.places.domain import Condition, Outcome
from services.geo_api.wechat.accounts.outreach import OutreachSettings, read_outreach
from shared.datum.kinds import Datum
from shared.errors import Conflict, FieldFault, Malformed, NotFound
from shared.wechat.answers import Credentials, TokenApi
from shared.wechat.callback import CallbackAccount, Format, Mode

RESERVED_IDS = frozenset({"accounts", "notices"})
"""Words that stand in addresses where an account's id does."""

ASSUMED_DATUM = Datum.WGS84
"""Of LOCATION events while nobody has said: WeChat's documentation does not either."""


class AccountKind(StrEnum):
    """``service`` and ``subscription`` are official accounts."""

    SERVICE = "service"
    SUBSCRIPTION = "subscription"
    MINI_PROGRAM = "mini_program"

    @property
    def is_official(self) -> bool:
        return self is not AccountKind.MINI_PROGRAM


class AccountUnknown(NotFound):
    slug = "wechat-account-unknown"
    title = "There is no such WeChat account"


class AppTaken(Conflict):
    """An app belongs to one account: the ids of its people are the app's."""

    slug = "wechat-app-taken"
    title = "Another account has this AppID"


class OtherApp(Conflict):
    """An account never changes its app: the ids of its people would be strangers'. Add another."""

    slug = "wechat-other-app"
    title = "The account belongs to another AppID"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Of an account, in clear: in memory only. Its repr is empty."""

    token: str = field(repr=False)
    aes_key: str | None = field(repr=False)
    app_secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccountContent:
    """What an operator says of an account. ``outreach`` is in its wire form."""

    kind: AccountKind
    name: str
    app_id: str
    original_id: str | None
    format: Format
    mode: Mode
    location_datum: Datum | None
    consent_version: str | None
    token_api: TokenApi
    outreach: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """``secrets`` is None once the account is closed."""

    account_id: str
    version: int
    content: AccountContent
    secrets: Secrets | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class GivenSecrets:
    """Those that a request brings; None: the one that is held stays."""

    token: str | None = field(repr=False)
    aes_key: str | None = field(repr=False)
    app_secret: str | None = field(repr=False)

    def over(self, held: Secrets | None, mode: Mode) -> Secrets:
        """Raises Malformed where one is needed and neither given nor held."""
        token = self.token or (held.token if held else None)
        aes_key = self.aes_key or (held.aes_key if held else None)
        app_secret = self.app_secret or (held.app_secret if held else None)
        if not token:
            raise Malformed(FieldFault("/token", "is needed: the Token set in WeChat's console"))
        if mode is not Mode.PLAIN and not aes_key:
            detail = f"is needed in mode {mode}: the EncodingAESKey set in WeChat's console"
            raise Malformed(FieldFault("/aes_key", detail))
        return Secrets(token, aes_key, app_secret)


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """What is needed to handle a push, and stays when its account is closed.

    ``location_datum`` is that of LOCATION events.
    """

    account_id: str
    version: int
    kind: AccountKind
    name: str
    app_id: str
    original_id: str | None
    location_datum: Datum
    consent_version: str | None


@dataclass(frozen=True, slots=True)
class LiveAccount(KnownAccount):
    """An open account as the service works with it; its repr holds no secret.

    ``credentials`` is None without an AppSecret: then WeChat cannot be called for it.
    """

    callback: CallbackAccount
    credentials: Credentials | None
    outreach: OutreachSettings


def put_account(
    account_id: str,
    current: Account | None,
    content: AccountContent,
    given: GivenSecrets,
    at: datetime,
    condition: Condition,
) -> tuple[Account, Outcome]:
    """The account once ``content`` counts; a closed one opens again for the same app.

    The same again makes no version. Raises OtherApp, VersionChanged, and Malformed where a
    secret is missing.
    """
    condition.check(None if current is None else current.version)
    if current is None:
        secrets = given.over(None, content.mode)
        return Account(account_id, 1, content, secrets, at, at, None), Outcome.CREATED
    if content.app_id != current.content.app_id:
        raise OtherApp(f"Account {account_id} is of another AppID; add the app under another id.")
    secrets = given.over(current.secrets, content.mode)
    put = replace(current, content=content, secrets=secrets, closed_at=None)
    if put == current:
        return current, Outcome.UNCHANGED
    return replace(put, version=current.version + 1, updated_at=at), Outcome.UPDATED


def close_account(current: Account, at: datetime, condition: Condition) -> Account:
    """The account without its secrets; a closed one stays as it is. Raises VersionChanged."""
    condition.check(current.version)
    if current.closed_at is not None:
        return current
    return replace(current, version=current.version + 1, secrets=None, updated_at=at, closed_at=at)


def credentials_of(account: Account) -> Credentials | None:
    if account.secrets is None or account.secrets.app_secret is None:
        return None
    content = account.content
    return Credentials(
        account.account_id, content.app_id, account.secrets.app_secret, content.token_api
    )


def known_account(account: Account) -> KnownAccount:
    return KnownAccount(**_known(account))


def live_account(account: Account) -> LiveAccount:
    """An open account, ready for use. Raises ValueError for an EncodingAESKey that is none."""
    content, secrets = account.content, account.secrets
    if secrets is None:
        raise ValueError("a closed account is not worked with")
    callback = CallbackAccount(
        app_id=content.app_id,
        token=secrets.token,
        aes_key=secrets.aes_key,
        mode=content.mode,
        format=content.format,
    )
    return LiveAccount(
        **_known(account),
        callback=callback,
        credentials=credentials_of(account),
        outreach=read_outreach(content.outreach),
    )


def _known(account: Account) -> dict[str, Any]:
    content = account.content
    return {
        "account_id": account.account_id,
        "version": account.version,
        "kind": content.kind,
        "name": content.name,
        "app_id": content.app_id,
        "original_id": content.original_id,
        "location_datum": content.location_datum or ASSUMED_DATUM,
        "consent_version": content.consent_version,
    }

"""Wire shapes of accounts and of notices."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.geo_api.places.schemas import Named
from services.geo_api.wechat.accounts.domain import (
    Account,
    AccountContent,
    AccountKind,
    GivenSecrets,
    Secrets,
)
from services.geo_api.wechat.accounts.notices import Notice
from services.geo_api.wechat.accounts.outreach_schemas import OUTREACH_EXAMPLE, OutreachBody
from shared.datum.kinds import Datum
from shared.wechat.answers import TokenApi
from shared.wechat.callback import TOKEN_PATTERN, Format, Mode
from shared.wechat.crypto import AES_KEY_PATTERN
from shared.wire import WireModel

ACCOUNT_EXAMPLE: dict[str, Any] = {
    "kind": "service",
    "name": "Lakeside Tea",
    "app_id": "wx0011223344556677",
    "original_id": "gh_51a2b3c4d5e6",
    "format": "xml",
    "mode": "secure",
    "token": "tokenOfYourOwnChoice",
    "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "app_secret": "0123456789abcdef0123456789abcdef",
    "location_datum": "gcj02",
    "consent_version": "2026-11",
    "outreach": OUTREACH_EXAMPLE,
}


AppId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{4,64}$")]
OriginalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{3,64}$")]
CallbackToken = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
AesKey = Annotated[str, StringConstraints(pattern=AES_KEY_PATTERN)]
AppSecret = Annotated[str, StringConstraints(pattern=r"^[!-~]{16,128}$")]
Version = Annotated[str, StringConstraints(min_length=1, max_length=64)]

_KEPT = "left out or null: the one that is held stays"


class AccountIn(WireModel):
    """An account, whole. Secrets go in and never come out."""

    model_config = ConfigDict(json_schema_extra={"examples": [ACCOUNT_EXAMPLE]})

    kind: AccountKind
    name: Named
    app_id: AppId
    original_id: OriginalId | None = None
    format: Annotated[Format, Field(description="As set in WeChat's console")] = Format.XML
    mode: Annotated[Mode, Field(description="As set in WeChat's console")] = Mode.SECURE
    token: Annotated[CallbackToken | None, Field(description=f"Token; {_KEPT}")] = None
    aes_key: Annotated[AesKey | None, Field(description=f"EncodingAESKey; {_KEPT}")] = None
    app_secret: Annotated[AppSecret | None, Field(description=f"AppSecret; {_KEPT}")] = None
    location_datum: Annotated[
        Literal[Datum.WGS84, Datum.GCJ02] | None,
        Field(description="Of LOCATION events; null: not calibrated, taken for wgs84"),
    ] = None
    consent_version: Annotated[
        Version | None,
        Field(description="Of the consent that sharing a location implies; null: it implies none"),
    ] = None
    token_api: TokenApi = TokenApi.STABLE
    outreach: OutreachBody = Field(default_factory=OutreachBody)

    def content(self) -> AccountContent:
        return AccountContent(
            kind=self.kind,
            name=self.name,
            app_id=self.app_id,
            original_id=self.original_id,
            format=self.format,
            mode=self.mode,
            location_datum=self.location_datum,
            consent_version=self.consent_version,
            token_api=self.token_api,
            outreach=self.outreach.model_dump(mode="json", by_alias=True),
        )

    def secrets(self) -> GivenSecrets:
        return GivenSecrets(self.token, self.aes_key, self.app_secret)


class SecretOut(BaseModel):
    """That there is a secret, and no more."""

    set: bool


class AccountOut(BaseModel):
    """An account without its secrets.

    ``callback_url`` is to be entered in WeChat's console. It is a path only while the service does
    not know under which address it is reached (``SOLOMO_GEO_PUBLIC_URL``).
    """

    account_id: str
    version: int
    kind: AccountKind
    name: str
    app_id: str
    original_id: str | None
    format: Format
    mode: Mode
    token: SecretOut
    aes_key: SecretOut
    app_secret: SecretOut
    location_datum: Datum | None
    consent_version: str | None
    token_api: TokenApi
    outreach: OutreachBody
    callback_url: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, account: Account, public_url: str | None) -> Self:
        content, secrets = account.content, account.secrets or Secrets("", None, None)
        return cls(
            account_id=account.account_id,
            version=account.version,
            kind=content.kind,
            name=content.name,
            app_id=content.app_id,
            original_id=content.original_id,
            format=content.format,
            mode=content.mode,
            token=SecretOut(set=bool(secrets.token)),
            aes_key=SecretOut(set=bool(secrets.aes_key)),
            app_secret=SecretOut(set=bool(secrets.app_secret)),
            location_datum=content.location_datum,
            consent_version=content.consent_version,
            token_api=content.token_api,
            outreach=OutreachBody.model_validate(content.outreach),
            callback_url=f"{public_url or ''}{callback_path(account.account_id)}",
            created_at=account.created_at,
            updated_at=account.updated_at,
            closed_at=account.closed_at,
        )


class NoticeOut(BaseModel):
    """``count`` is how often it happened between ``first_at`` and ``last_at``."""

    id: UUID
    account_id: str
    kind: str
    detail: str
    count: int
    first_at: datetime
    last_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, notice: Notice) -> Self:
        return cls(
            id=notice.notice_id,
            account_id=notice.account_id,
            kind=notice.kind,
            detail=notice.detail,
            count=notice.count,
            first_at=notice.first_at,
            last_at=notice.last_at,
            settled_at=notice.settled_at,
        )


def callback_path(account_id: str) -> str:
    return f"/v1/wechat/{account_id}/callback"

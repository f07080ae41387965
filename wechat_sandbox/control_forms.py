"""What ``/sandbox`` takes."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl, StringConstraints
from pydantic.functional_validators import AfterValidator

from shared.wechat.callback import TOKEN_PATTERN, Format, Mode
from wechat_sandbox.accounts import KEY_FORM, Kind
from wechat_sandbox.acts import (
    Follow,
    Menu,
    ReportLocation,
    Say,
    Scan,
    SelectLocation,
    SendImage,
    SendLocation,
    Unfollow,
)
from wechat_sandbox.acts_of_phones import (
    AnswerSubscriptions,
    Block,
    Cancel,
    EnterChat,
    Modify,
    Open,
    RefuseSubscriptions,
    Revoke,
    SharePhone,
)
from wechat_sandbox.faults import FaultKind

ActIn = Annotated[
    Follow | Unfollow | Scan | Menu | Say | SendImage | SendLocation | SelectLocation
    | ReportLocation | Open | SharePhone | EnterChat | AnswerSubscriptions | RefuseSubscriptions
    | Revoke | Modify | Cancel | Block,
    Field(discriminator="act"),
]  # fmt: skip

_Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Address = Annotated[str, AfterValidator(lambda text: str(HttpUrl(text)))]
_Seconds = Annotated[float, Field(ge=0, le=86_400)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [key for key in keys if KEY_FORM.fullmatch(key) is None]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no key of a template, such as thing1 or time3")
    return keys


class AccountIn(_Form):
    kind: Kind = Kind.SERVICE
    app_id: Annotated[str, Field(pattern=r"^wx[0-9a-f]{16}$")] = ""
    app_secret: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] = ""
    original_id: Annotated[str, Field(pattern=r"^gh_[0-9a-z]{6,20}$")] = ""
    format: Format = Format.XML
    mode: Mode = Mode.SECURE
    token: Annotated[str, Field(pattern=TOKEN_PATTERN)] = ""
    aes_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{43}$")] = ""
    callback_url: _Address | None = None
    verified: bool = True
    bound: bool = True
    templates: Mapping[_Short, Annotated[tuple[_Short, ...], AfterValidator(_known_keys)]] = {}
    pages: tuple[_Short, ...] = ()
    allowed_ips: tuple[_Short, ...] = ()


class PersonIn(_Form):
    phone: Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")] | None = None


class PushIn(_Form):
    account: str
    document: Mapping[_Short, Any]
    signed_at: float | None = None


class PushSettingsIn(_Form):
    interval_s: _Seconds = 5.0
    connect_s: _Seconds = 3.0
    total_s: _Seconds = 5.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    shuffle_s: _Seconds = 0.0
    repeat_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    reencrypt: bool = False
    mark_fail_after: Annotated[int, Field(ge=1)] = 20
    mark_fail_s: _Seconds = 60.0


class FaultIn(_Form):
    kind: FaultKind
    path: Annotated[str, Field(pattern="^/")] = "/"
    errcode: int = -1
    seconds: _Seconds = 6.0
    left: Annotated[int, Field(ge=1)] | None = 1
    handled: bool = False


class ClockIn(_Form):
    advance_s: Annotated[float, Field(ge=0, le=366 * 86_400)] = 0.0
    now: AwareDatetime | None = None

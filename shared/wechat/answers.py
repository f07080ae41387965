"""What calls to WeChat take and give, and how they fail."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.wechat.errcodes import Trouble

_RID = re.compile(r",?\s*rid:\s*([0-9A-Za-z-]{4,64})\s*$")


class TokenApi(StrEnum):
    """How an account's access token is fetched.

    ``stable`` gives everybody the same token; ``classic`` a new one each time, which ends the one
    before, and only 2,000 a day.
    """

    STABLE = "stable"
    CLASSIC = "classic"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account calls WeChat with; its repr holds no secret."""

    account_id: str
    app_id: str
    app_secret: str = field(repr=False)
    token_api: TokenApi = TokenApi.STABLE


@dataclass(frozen=True, slots=True)
class FetchedToken:
    access_token: str = field(repr=False)
    expires_in: int
    """Seconds from the answer on."""


class TokenSource(Protocol):
    """Where access tokens come from; one token of an account is shared by all who call."""

    async def current(self, credentials: Credentials) -> str:
        """A token that lives. Raises WeChatRefused and WeChatUnreachable."""

    async def renewed(self, credentials: Credentials, used: str) -> str:
        """Another token than ``used``, which WeChat refused. Raises as ``current`` does."""

    async def checked(self, credentials: Credentials) -> None:
        """Ask WeChat now, to see that the credentials hold. Raises as ``current`` does."""


@dataclass(frozen=True, slots=True)
class Login:
    """``unionid`` only where the app is bound to an account of WeChat's open platform."""

    openid: str = field(repr=False)
    session_key: str = field(repr=False)
    unionid: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class QrCode:
    """A parametric code: ``url`` is what it shows; ``expires_at`` None: it stays for good."""

    ticket: str = field(repr=False)
    url: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SubscribeMessage:
    """One message of a template to somebody who granted it.

    ``data`` has the texts by the template's keywords (``{"thing1": "..."}``), ``page`` is a path of
    the mini-program. ``from_official_account`` is for those of a service account, which have an
    address of their own. ``state`` is the mini-program's version: formal, trial or developer.
    """

    openid: str = field(repr=False)
    template_id: str
    data: Mapping[str, str]
    page: str | None = None
    from_official_account: bool = False
    state: str = "formal"


@dataclass(frozen=True, slots=True)
class MiniCode:
    """A mini-program code: ``scene`` comes to ``page`` with whoever scans; ``width_px`` 280 to 1280.

    ``version`` is release, trial or develop; a page is looked for among those of the released one.
    """

    scene: str
    page: str | None = None
    width_px: int = 430
    version: str = "release"
    check_page: bool = True


class WeChatRefused(Exception):  # noqa: N818 - says what happened
    """WeChat answered, and did not do it.

    ``rid`` names the call to WeChat's support. ``errcode`` is None where our own count of a quota
    held the call back; then ``retry_after_s`` is set.
    """

    def __init__(
        self,
        trouble: Trouble,
        errcode: int | None,
        errmsg: str,
        rid: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{trouble} ({errcode}): {errmsg}")
        self.trouble = trouble
        self.errcode = errcode
        self.errmsg = errmsg
        self.rid = rid
        self.retry_after_s = retry_after_s


class WeChatUnreachable(Exception):  # noqa: N818 - says what happened
    """No answer that could be read.

    ``maybe_done``: the request may have reached WeChat, so that what it asked for may have happened.
    """

    def __init__(self, reason: str, *, maybe_done: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe_done = maybe_done


def without_rid(errmsg: str) -> tuple[str, str | None]:
    """The words of an ``errmsg`` and the id of the call that ends it, if it does."""
    found = _RID.search(errmsg)
    return (errmsg[: found.start()].rstrip(), found[1]) if found else (errmsg, None)

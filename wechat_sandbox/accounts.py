"""The accounts that WeChat keeps: official accounts and mini-programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.wechat.callback import CallbackAccount, Format, Mode

KEY_FORM = re.compile(r"^(thing|number|letter|symbol|character_string|time|date|amount|phone_number"
                      r"|car_number|name|phrase|const)\d{1,2}$")  # fmt: skip
"""A template's keys say what their values may be: ``thing1``, ``time3``."""


class Kind(StrEnum):
    SERVICE = "service"
    SUBSCRIPTION = "subscription"
    MINI_PROGRAM = "mini_program"


@dataclass(frozen=True, slots=True)
class Account:
    """One account, as its owner set it up in WeChat's console.

    ``templates`` are subscribe-message templates: the keys of each. ``pages`` are those that the
    mini-program has published; none: any page is taken. ``allowed_ips``: who may ask for access
    tokens; none: anybody. ``bound``: it belongs to the one open-platform account, so that its
    people have a unionid. ``platform`` is who privacy events come from.
    """

    account_id: str
    kind: Kind
    app_id: str
    app_secret: str
    original_id: str
    format: Format
    mode: Mode
    token: str
    aes_key: str
    callback_url: str | None = None
    verified: bool = True
    bound: bool = True
    templates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pages: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()

    @property
    def is_official(self) -> bool:
        return self.kind is not Kind.MINI_PROGRAM

    @property
    def callback(self) -> CallbackAccount:
        return CallbackAccount(
            app_id=self.app_id,
            token=self.token,
            aes_key=self.aes_key,
            mode=self.mode,
            format=self.format,
        )

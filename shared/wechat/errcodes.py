"""WeChat's error codes: what each means for us, what to do, and the sentence for an operator.

Source: WeChat's documentation of the calls named in ``shared.wechat.client``, and of global return
codes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Trouble(StrEnum):
    """What an errcode means for the caller."""

    TOKEN = "token"  # noqa: S105 - the name of a trouble
    BUSY = "busy"
    QUOTA = "quota"
    REFUSED_BY_USER = "refused_by_user"
    WINDOW_CLOSED = "window_closed"
    BAD_TEMPLATE = "bad_template"
    BAD_VALUE = "bad_value"
    BAD_CODE = "bad_code"
    USED_CODE = "used_code"
    UNKNOWN_USER = "unknown_user"
    NOT_PERMITTED = "not_permitted"
    BAD_ACCOUNT = "bad_account"
    IP_NOT_ALLOWED = "ip_not_allowed"
    CONCURRENT = "concurrent"
    UNKNOWN = "unknown"


class Remedy(StrEnum):
    """What the caller does. RENEW: drop the token if it is still the one used, renew, once more.

    LATER: again with back-off. NEVER: the same call would fail again.
    """

    RENEW = "renew"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Advice:
    """``sentence`` is for an operator; where ``operator`` is true only one can mend it."""

    remedy: Remedy
    sentence: str
    operator: bool = False


def trouble_of(errcode: int) -> Trouble:
    """What an errcode other than 0 means; what is not in the table is UNKNOWN."""
    return _TROUBLES.get(errcode, Trouble.UNKNOWN)


def advice_on(trouble: Trouble) -> Advice:
    return _ADVICE[trouble]


_CODES: Final[dict[Trouble, tuple[int, ...]]] = {
    Trouble.TOKEN: (40001, 40014, 41001, 42001),
    Trouble.BUSY: (-1, -1000, 45011),
    Trouble.QUOTA: (45009,),
    Trouble.REFUSED_BY_USER: (43004, 43101, 48002),
    Trouble.WINDOW_CLOSED: (45015, 45047),
    Trouble.BAD_TEMPLATE: (40037,),
    Trouble.BAD_VALUE: (40053, 40097, 40129, 41030, 44004, 45002, 47001, 47003),
    Trouble.BAD_CODE: (40029,),
    Trouble.USED_CODE: (40163,),
    Trouble.UNKNOWN_USER: (40003, 40226, 46004),
    Trouble.NOT_PERMITTED: (48001, 48004, 50001, 50002),
    Trouble.BAD_ACCOUNT: (40002, 40013, 40125, 40243, 41002, 41004),
    Trouble.IP_NOT_ALLOWED: (40164, 61004, 89501, 89503, 89506, 89507),
    Trouble.CONCURRENT: (43108,),
}
_TROUBLES: Final = {code: trouble for trouble, codes in _CODES.items() for code in codes}

_ADVICE: Final[dict[Trouble, Advice]] = {
    Trouble.TOKEN: Advice(
        Remedy.RENEW,
        "The access token is not the latest. If this repeats, another program fetches tokens for "
        "this account by /cgi-bin/token, or the AppSecret is wrong.",
    ),
    Trouble.BUSY: Advice(Remedy.LATER, "WeChat is busy, or was called too often within a minute."),
    Trouble.QUOTA: Advice(
        Remedy.NEVER,
        "The day's quota of this call is used up. It comes back at midnight in Beijing, or by "
        "clearing it in WeChat's console (ten times a month).",
        operator=True,
    ),
    Trouble.REFUSED_BY_USER: Advice(
        Remedy.NEVER, "The person refused such messages, or the permission was used up."
    ),
    Trouble.WINDOW_CLOSED: Advice(
        Remedy.NEVER,
        "The person did nothing lately that allows a message, or all that were allowed are sent.",
    ),
    Trouble.BAD_TEMPLATE: Advice(
        Remedy.NEVER, "This account has no template of this id, or it is of another kind.", True
    ),
    Trouble.BAD_VALUE: Advice(
        Remedy.NEVER,
        "A value is not what the template or call takes; WeChat's message names it.",
        operator=True,
    ),
    Trouble.BAD_CODE: Advice(
        Remedy.NEVER, "The code is not one of this account's, or it is too old: get a new one."
    ),
    Trouble.USED_CODE: Advice(Remedy.NEVER, "The code was used before: get a new one."),
    Trouble.UNKNOWN_USER: Advice(
        Remedy.NEVER, "This account does not know the person, or WeChat blocks them."
    ),
    Trouble.NOT_PERMITTED: Advice(
        Remedy.NEVER,
        "This call is not available for this account: its kind, verification or permissions do "
        "not allow it.",
        operator=True,
    ),
    Trouble.BAD_ACCOUNT: Advice(
        Remedy.NEVER,
        "WeChat does not take the AppID with this AppSecret, or the secret is frozen.",
        operator=True,
    ),
    Trouble.IP_NOT_ALLOWED: Advice(
        Remedy.NEVER,
        "The address that this installation calls from is not on the account's list of allowed "
        "addresses, or an administrator has yet to confirm it.",
        operator=True,
    ),
    Trouble.CONCURRENT: Advice(
        Remedy.LATER, "Two messages went to one person at once: they must go one after the other."
    ),
    Trouble.UNKNOWN: Advice(
        Remedy.NEVER, "WeChat refused for a reason that is not in our table.", operator=True
    ),
}

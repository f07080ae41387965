"""What is wrong with an account, in words, and what to do about it. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.geo_api.wechat.accounts.domain import Account, AccountKind
from services.geo_api.wechat.accounts.outreach import read_outreach
from shared.wechat.answers import TokenApi, WeChatRefused, WeChatUnreachable
from shared.wechat.callback import WINDOW_S, Format, Mode
from shared.wechat.errcodes import Trouble, advice_on

SKEW_WARNING_S = 30.0
_APP_ID = re.compile(r"wx[0-9a-f]{16}")
_APP_SECRET = re.compile(r"[0-9a-f]{32}")
_ORIGINAL_ID = re.compile(r"gh_[0-9a-f]{12}")
_TEMPLATE_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_KEYWORD = re.compile(
    r"(thing|number|letter|symbol|character_string|time|date|amount|phone_number|car_number|name"
    r"|phrase|const|short_thing)[0-9]{1,3}"
)
_IP = re.compile(
    r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}", re.IGNORECASE
)


class Verdict(StrEnum):
    """``unknown``: it could not be found out."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``do`` is the next step, None where there is none to take.

    ``errcode`` and ``rid`` are WeChat's, where it refused; its support asks for the latter.
    """

    name: str
    verdict: Verdict
    says: str
    do: str | None = None
    errcode: int | None = None
    rid: str | None = None


def look_at_record(account: Account) -> Iterator[Finding]:
    """What the record alone tells."""
    yield from _ids(account)
    yield _mode(account)
    yield from _formats(account)
    yield from _locations(account)
    yield from _outreach(account)


def _ids(account: Account) -> Iterator[Finding]:
    content, secrets = account.content, account.secrets
    if _APP_ID.fullmatch(content.app_id):
        yield Finding("app_id", Verdict.OK, "The AppID looks like one.")
    else:
        says = "The AppID does not look like one: wx and 16 of 0-9 a-f."
        yield Finding("app_id", Verdict.WARNING, says, "Copy it from WeChat's console.")
    if content.original_id is None or not _ORIGINAL_ID.fullmatch(content.original_id):
        says = "The original id is not set, or is not gh_ and 12 of 0-9 a-f."
        do = "Copy it from WeChat's console: account settings, original id."
        yield Finding("original_id", Verdict.WARNING, says, do)
    if secrets and secrets.app_secret and not _APP_SECRET.fullmatch(secrets.app_secret):
        says = "The AppSecret does not look like one: 32 of 0-9 a-f."
        yield Finding("app_secret", Verdict.WARNING, says, "Set it anew, copied whole.")


def _mode(account: Account) -> Finding:
    match account.content.mode:
        case Mode.SECURE:
            return Finding("mode", Verdict.OK, "Pushes are encrypted and signed as a whole.")
        case Mode.COMPATIBLE:
            says = "Pushes come in clear as well as encrypted; only the encrypted part is read."
            do = "Choose secure mode in WeChat's console, and then here."
            return Finding("mode", Verdict.WARNING, says, do)
        case Mode.PLAIN:
            says = (
                "Plain mode does not sign what a push says: whoever sees one address of a push, "
                "in a proxy's log for instance, can send pushes of their own."
            )
            do = "Choose secure mode in WeChat's console, and then here."
            return Finding("mode", Verdict.WARNING, says, do)


def _formats(account: Account) -> Iterator[Finding]:
    content = account.content
    if content.kind.is_official and content.format is Format.JSON:
        says = "The console of official accounts knows XML only, and a body in XML is refused here."
        yield Finding("format", Verdict.WARNING, says, "Set the format to xml.")
    if content.token_api is TokenApi.CLASSIC:
        says = (
            "Each classic token ends the one before, whoever fetches it; and there are 2,000 a day."
        )
        do = "Use token_api stable, unless another program must go on with the classic way."
        yield Finding("token_api", Verdict.WARNING, says, do)


def _locations(account: Account) -> Iterator[Finding]:
    """LOCATION comes to service accounts only."""
    content = account.content
    if content.kind is not AccountKind.SERVICE:
        return
    if content.location_datum is None:
        says = (
            "Nobody has said in which datum LOCATION events come; they are taken for WGS 84, and "
            "are 400 to 600 m off if that is wrong."
        )
        do = "Compare one with a place that you know (docs/wechat.md), and set location_datum."
        yield Finding("location_datum", Verdict.WARNING, says, do)
    if content.consent_version is None:
        says = "Sharing a location implies no consent, so that it is kept only of who gave one."
        do = "Name the version of the text that people agree to, if they do, in consent_version."
        yield Finding("consent_version", Verdict.WARNING, says, do)


def _outreach(account: Account) -> Iterator[Finding]:
    settings = read_outreach(account.content.outreach)
    if not settings.enabled:
        yield Finding("outreach", Verdict.OK, "Nothing is sent to people: outreach is off.")
        return
    faults = [*_outreach_faults(account)]
    yield from faults
    if not faults:
        yield Finding("outreach", Verdict.OK, "The settings of outreach look right.")


def _outreach_faults(account: Account) -> Iterator[Finding]:
    coupon = read_outreach(account.content.outreach).coupon
    if account.secrets is None or account.secrets.app_secret is None:
        says, do = "Nothing can be sent without an AppSecret.", "Set app_secret."
        yield Finding("outreach", Verdict.WRONG, says, do)
    if coupon is None:
        says, do = "Outreach is on and has nothing to say.", "Give outreach.coupon."
        yield Finding("outreach", Verdict.WRONG, says, do)
        return
    if coupon.template_id is not None and not _TEMPLATE_ID.fullmatch(coupon.template_id):
        says = "The template id does not look like one: 43 of A-Z a-z 0-9 _ -."
        do = "Copy it from WeChat's console: subscribe messages, my templates."
        yield Finding("template_id", Verdict.WARNING, says, do)
    strange = sorted(key for key in coupon.data if not _KEYWORD.fullmatch(key))
    if strange:
        says = f"No template has the keywords {', '.join(strange)}: they look like thing1, time2."
        yield Finding("template_data", Verdict.WARNING, says, "Copy them from the template.")


def of_closed() -> Finding:
    says = "The account is closed: its pushes are refused, and nothing is sent by it."
    return Finding("account", Verdict.WRONG, says, "Add it anew, with its secrets, to open it.")


def of_token(failure: WeChatRefused | WeChatUnreachable | None) -> Finding:
    """What came of asking for an access token."""
    if failure is None:
        return Finding("access_token", Verdict.OK, "WeChat takes the AppID with its AppSecret.")
    if isinstance(failure, WeChatUnreachable):
        return _not_reached("access_token", failure)
    if failure.errcode == _BAD_APP_ID:
        says, do = "WeChat knows no such AppID.", "Copy app_id from WeChat's console."
    elif failure.errcode in _BAD_SECRET:
        says = "The AppSecret is not this AppID's."
        do = "Set app_secret anew; if nobody has it, reset it in WeChat's console."
    elif failure.errcode == _FROZEN:
        says, do = "The AppSecret is frozen.", "Unfreeze it in WeChat's console."
    elif failure.trouble is Trouble.IP_NOT_ALLOWED:
        return _address_not_allowed(failure)
    else:
        return _refused("access_token", failure)
    return Finding("access_token", Verdict.WRONG, says, do, failure.errcode, failure.rid)


def of_permission(failure: WeChatRefused | WeChatUnreachable | None) -> Finding:
    """What came of a call that changes nothing."""
    if failure is None:
        return Finding("calls", Verdict.OK, "Calls with the token are taken.")
    if isinstance(failure, WeChatUnreachable):
        return _not_reached("calls", failure)
    if failure.trouble is Trouble.IP_NOT_ALLOWED:
        return _address_not_allowed(failure)
    if failure.trouble is Trouble.NOT_PERMITTED:
        says = "Calls are not available for an account of this kind, or one that is not verified."
        do = "Look at the account's interface permissions in WeChat's console."
        return Finding("calls", Verdict.WRONG, says, do, failure.errcode, failure.rid)
    return _refused("calls", failure)


def of_kind(kind: AccountKind) -> Finding:
    """What WeChat does not offer to accounts of a kind."""
    lacks = {
        AccountKind.SERVICE: "If verified, a service account can do all that is used here.",
        AccountKind.SUBSCRIPTION: "Locations reported by themselves and scene codes on posters are"
        " not available for subscription accounts; messages and chosen locations are.",
        AccountKind.MINI_PROGRAM: "Locations come from the program itself, not as pushes.",
    }
    return Finding("kind", Verdict.OK, lacks[kind])


def of_clock(skew_s: float | None) -> Finding:
    """``skew_s`` is how far this machine's clock is ahead of WeChat's."""
    if skew_s is None:
        return Finding("clock", Verdict.UNKNOWN, "WeChat's time was not learnt.")
    if abs(skew_s) < SKEW_WARNING_S:
        return Finding("clock", Verdict.OK, "This machine's clock and WeChat's agree.")
    way = "ahead of" if skew_s > 0 else "behind"
    says = f"This machine's clock is {abs(skew_s):.0f} s {way} WeChat's."
    verdict = Verdict.WRONG if abs(skew_s) >= WINDOW_S else Verdict.WARNING
    return Finding("clock", verdict, says, "Let the machine follow a time server (NTP).")


def of_callback(public_url: str | None, failure: str | None) -> Finding:
    """``failure`` is why a request as WeChat's first one did not come back, if it did not."""
    if public_url is None:
        says = "It is not known under which address WeChat reaches this service."
        return Finding("callback", Verdict.UNKNOWN, says, "Set SOLOMO_GEO_PUBLIC_URL.")
    if failure is None:
        says = "The callback answers under its public address, as seen from this machine."
        return Finding("callback", Verdict.OK, says)
    says = f"The callback does not answer under its public address: {failure}."
    do = "Look at the proxy before geo_api: it must pass /v1/wechat/ on, on port 80 or 443."
    return Finding("callback", Verdict.WRONG, says, do)


_BAD_APP_ID, _FROZEN = 40013, 40243
_BAD_SECRET = frozenset({40001, 40125, 41004})


def _address_not_allowed(failure: WeChatRefused) -> Finding:
    found = _IP.search(failure.errmsg)
    where = f"{found[0]}, from which this installation calls," if found else "Our own address"
    return Finding(
        "address",
        Verdict.WRONG,
        f"{where} is not on the account's list of allowed addresses.",
        "Put it on the IP allow-list in WeChat's console; if it is there, an administrator must "
        "confirm it.",
        failure.errcode,
        failure.rid,
    )


def _not_reached(name: str, failure: WeChatUnreachable) -> Finding:
    says = f"WeChat was not reached: {failure.reason}."
    do = "Look at the network and its firewall; SOLOMO_WECHAT_API_BASES names the addresses."
    return Finding(name, Verdict.UNKNOWN, says, do)


def _refused(name: str, failure: WeChatRefused) -> Finding:
    """A refusal without a sentence of its own: by the table of error codes."""
    advice = advice_on(failure.trouble)
    verdict = Verdict.WRONG if advice.operator else Verdict.UNKNOWN
    says = f"{advice.sentence} WeChat says: {failure.errmsg}"
    return Finding(name, verdict, says, None, failure.errcode, failure.rid)

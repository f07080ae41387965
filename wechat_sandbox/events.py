"""The documents that WeChat pushes, as dicts; ``shared.wechat`` writes them as XML or JSON.

Numbers that WeChat writes bare are ints or texts of digits; texts it wraps in CDATA are texts.
Source: the message and event pages of WeChat's documentation, and what users report of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.wechat.callback import Format
from wechat_sandbox.accounts import Account

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody says to be, in degrees of whatever datum WeChat uses there."""

    latitude: float
    longitude: float
    label: str = ""
    scale: int = 16


class _SixDecimals(float):
    """A number that is written bare, with six decimals, as WeChat writes coordinates."""

    def __str__(self) -> str:
        return f"{float(self):.6f}"


def envelope(account: Account, openid: str, at: float, kind: str) -> Document:
    return {
        "ToUserName": account.original_id,
        "FromUserName": openid,
        "CreateTime": int(at),
        "MsgType": kind,
    }


def event(account: Account, openid: str, at: float, name: str, **fields: Any) -> Document:
    return {**envelope(account, openid, at, "event"), "Event": name, **fields}


def location_fields(place: Place) -> Document:
    """As a ``location`` message has them: X is the latitude."""
    return {
        "Location_X": _SixDecimals(place.latitude),
        "Location_Y": _SixDecimals(place.longitude),
        "Scale": place.scale,
        "Label": place.label,
    }


def selection_fields(place: Place) -> Document:
    """As ``location_select`` has them: the same, as texts, and the name of the place."""
    return {
        "SendLocationInfo": {
            "Location_X": f"{place.latitude:.6f}",
            "Location_Y": f"{place.longitude:.6f}",
            "Scale": str(place.scale),
            "Label": place.label,
            "Poiname": "",
        }
    }


def report_fields(place: Place, precision_m: float) -> Document:
    """As the LOCATION event has them."""
    return {
        "Latitude": _SixDecimals(place.latitude),
        "Longitude": _SixDecimals(place.longitude),
        "Precision": _SixDecimals(precision_m),
    }


def subscriptions(
    account: Account, openid: str, at: float, name: str, items: Sequence[Mapping[str, str]]
) -> Document:
    """A subscribe-message event: ``popup``, ``change`` or ``sent``.

    In XML the items are in a wrapper of the event's own; in JSON they are at the top, an object
    where there is one and a list where there are several, and CreateTime is a text.
    """
    document = event(account, openid, at, f"subscribe_msg_{name}_event")
    if account.format is Format.XML:
        wrapper = f"SubscribeMsg{name.capitalize()}Event"
        return {**document, wrapper: {"List": [dict(item) for item in items]}}
    listed: Any = dict(items[0]) if len(items) == 1 else [dict(item) for item in items]
    return {**document, "CreateTime": str(document["CreateTime"]), "List": listed}


def privacy(account: Account, platform: str, at: float, name: str, **fields: str) -> Document:
    """A privacy event: the person is ``OpenID``, and ``FromUserName`` the platform."""
    return event(account, platform, at, name, **fields, AppID=account.app_id)

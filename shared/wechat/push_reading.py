"""From the document of a push to what it says.

Nothing here fails: what is missing or absurd is None or empty, and what is not understood is an
UnknownPush, for an account must go on answering whatever WeChat comes to send.
Source: WeChat's documentation of messages and events; the differences between the XML and the JSON
forms (wrappers, lists of one, blanks in names) are those of its examples.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from shared.wechat import push_types as push

Document = Mapping[str, Any]
_Reader = Callable[[push.Envelope, Document], push.Push]

MAX_KIND: Final = 64
MAX_ID: Final = 128

_SCENE_PREFIX = "qrscene_"
_SECONDS = re.compile(r"[0-9]{1,10}")
_WHOLE = re.compile(r"-?[0-9]{1,9}")
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?")
_METRES = re.compile(r"[0-9]{1,8}(\.[0-9]{1,20})?")
_PERMISSION = re.compile(r"[0-9]{1,4}")
_MAX_LAT, _MAX_LON = 90, 180


def read_push(document: Document) -> push.Push:
    """What the document of a push says. It never fails."""
    envelope = _envelope(document)
    read = _READERS.get(envelope.kind, push.UnknownPush)
    if envelope.openid is None and envelope.kind not in _PLATFORM_EVENTS:
        read = push.UnknownPush
    return read(envelope, document)


def _envelope(document: Document) -> push.Envelope:
    kind = _text(document, "MsgType").lower() or "unknown"
    if kind == "event":
        kind = f"event:{_text(document, 'Event').lower()}"
    person = "OpenID" if kind in _PLATFORM_EVENTS else "FromUserName"
    return push.Envelope(
        to=_text(document, "ToUserName")[:MAX_ID],
        openid=_id(document, person),
        occurred_at=_time(document, "CreateTime"),
        message_id=_message_id(document, "MsgId"),
        kind=kind[:MAX_KIND],
    )


def _text_message(envelope: push.Envelope, said: Document) -> push.Push:
    return push.TextMessage(envelope, _text(said, "Content"))


def _media(envelope: push.Envelope, said: Document) -> push.Push:
    return push.MediaMessage(envelope, _text(said, "MediaId") or None)


def _location(envelope: push.Envelope, said: Document) -> push.Push:
    return push.LocationMessage(envelope, *_chosen_place(said))


def _location_report(envelope: push.Envelope, said: Document) -> push.Push:
    position = _position(said, "Longitude", "Latitude")
    return push.LocationReport(envelope, position, _metres(said, "Precision"))


def _location_selected(envelope: push.Envelope, said: Document) -> push.Push:
    info = _inner(said, "SendLocationInfo")
    position, scale, label = _chosen_place(info)
    name = _text(info, "Poiname") or None
    return push.LocationSelected(envelope, _text(said, "EventKey"), position, scale, label, name)


def _subscribed(envelope: push.Envelope, said: Document) -> push.Push:
    key = _text(said, "EventKey")
    scene = key.removeprefix(_SCENE_PREFIX) if key.startswith(_SCENE_PREFIX) else None
    return push.Subscribed(envelope, scene or None, _text(said, "Ticket") or None, key)


def _unsubscribed(envelope: push.Envelope, _said: Document) -> push.Push:
    return push.Unsubscribed(envelope)


def _scanned(envelope: push.Envelope, said: Document) -> push.Push:
    return push.Scanned(envelope, _text(said, "EventKey"), _text(said, "Ticket") or None)


def _clicked(envelope: push.Envelope, said: Document) -> push.Push:
    return push.MenuClicked(envelope, _text(said, "EventKey"))


def _viewed(envelope: push.Envelope, said: Document) -> push.Push:
    return push.MenuViewed(envelope, _text(said, "EventKey"), _text(said, "MenuId") or None)


def _code_scanned(envelope: push.Envelope, said: Document) -> push.Push:
    info = _inner(said, "ScanCodeInfo")
    waits = envelope.kind == "event:scancode_waitmsg"
    kind, result = _text(info, "ScanType"), _text(info, "ScanResult")
    return push.CodeScanned(envelope, _text(said, "EventKey"), kind, result, waits)


def _answered(envelope: push.Envelope, said: Document) -> push.Push:
    return push.SubscriptionsAnswered(envelope, tuple(_answers(said)))


def _changed(envelope: push.Envelope, said: Document) -> push.Push:
    return push.SubscriptionsChanged(envelope, tuple(_answers(said)))


def _answers(said: Document) -> Iterator[push.SubscriptionAnswer]:
    for item in _subscriptions(said, "SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent"):
        status = _text(item, "SubscribeStatusString").lower()
        scene = _text(item, "PopupScene") or None
        yield push.SubscriptionAnswer(_text(item, "TemplateId"), status, scene)


def _sent(envelope: push.Envelope, said: Document) -> push.Push:
    results = (
        push.SubscriptionResult(
            template_id=_text(item, "TemplateId"),
            message_id=_message_id(item, "MsgID") or _message_id(item, "MsgId"),
            error_code=_whole(item, "ErrorCode"),
            status=_text(item, "ErrorStatus"),
        )
        for item in _subscriptions(said, "SubscribeMsgSentEvent")
    )
    return push.SubscriptionsSent(envelope, tuple(results))


def _subscriptions(said: Document, *wrappers: str) -> list[Document]:
    """The items that name a template: in a wrapper in XML, without it in JSON.

    An example of WeChat's shows the popup's wrapper in a change, so either is taken.
    """
    holders = (said, *(_inner(said, wrapper) for wrapper in wrappers))
    found = [item for holder in holders for item in _items(holder, "List")]
    return [item for item in found if _id(item, "TemplateId")]


def _revoked(envelope: push.Envelope, said: Document) -> push.Push:
    permissions = frozenset(_PERMISSION.findall(_text(said, "RevokeInfo")))
    return push.PermissionRevoked(envelope, _text(said, "AppID"), permissions)


def _modified(envelope: push.Envelope, said: Document) -> push.Push:
    return push.UserInfoModified(envelope, _text(said, "AppID"))


def _cancelled(envelope: push.Envelope, said: Document) -> push.Push:
    return push.AccountCancelled(envelope, _text(said, "AppID"))


def _card_received(envelope: push.Envelope, said: Document) -> push.Push:
    card, code = _text(said, "CardId"), _text(said, "UserCardCode")
    by_friend = _text(said, "IsGiveByFriend") == "1"
    return push.CardReceived(envelope, card, code, by_friend, _text(said, "OuterStr"))


def _card_used(envelope: push.Envelope, said: Document) -> push.Push:
    return push.CardUsed(
        envelope,
        card_id=_text(said, "CardId"),
        code=_text(said, "UserCardCode"),
        source=_text(said, "ConsumeSource"),
        location_name=_text(said, "LocationName"),
        staff_openid=_id(said, "StaffOpenId"),
        outer=_text(said, "OuterStr"),
    )


def _member_card(envelope: push.Envelope, said: Document) -> push.Push:
    return push.MemberCardSubmitted(envelope, _text(said, "CardId"), _text(said, "UserCardCode"))


def _shaken(envelope: push.Envelope, said: Document) -> push.Push:
    chosen = [_beacon(item) for item in _items(said, "ChosenBeacon")]
    around = (_beacon(item) for item in _items(_inner(said, "AroundBeacons"), "AroundBeacon"))
    return push.BeaconShaken(envelope, chosen[0] if chosen else None, tuple(around))


def _beacon(item: Document) -> push.Beacon:
    names = _text(item, "Uuid"), _text(item, "Major"), _text(item, "Minor")
    return push.Beacon(*names, _metres(item, "Distance"))


def _wifi(envelope: push.Envelope, said: Document) -> push.Push:
    place, bssid = _text(said, "PlaceId"), _text(said, "DeviceNo").lower()
    return push.WifiConnected(envelope, place, bssid, _text(said, "VendorId"))


def _store_checked(envelope: push.Envelope, said: Document) -> push.Push:
    passed = _text(said, "Result").lower() in {"succ", "success"}
    store, poi = _text(said, "UniqId"), _text(said, "PoiId")
    return push.StoreChecked(envelope, store, poi, passed, _text(said, "Msg"))


def _entered_chat(envelope: push.Envelope, said: Document) -> push.Push:
    return push.EnteredChat(envelope, _text(said, "SessionFrom"))


_PLATFORM_EVENTS: Final[dict[str, _Reader]] = {
    "event:user_authorization_revoke": _revoked,
    "event:user_info_modified": _modified,
    "event:user_authorization_cancellation": _cancelled,
}

_MEDIA = ("image", "voice", "video", "shortvideo", "file", "link", "miniprogrampage")

_READERS: Final[dict[str, _Reader]] = {
    "text": _text_message,
    **dict.fromkeys(_MEDIA, _media),
    "location": _location,
    "event:location": _location_report,
    "event:location_select": _location_selected,
    "event:subscribe": _subscribed,
    "event:unsubscribe": _unsubscribed,
    "event:scan": _scanned,
    "event:click": _clicked,
    "event:view": _viewed,
    "event:view_miniprogram": _viewed,
    "event:scancode_push": _code_scanned,
    "event:scancode_waitmsg": _code_scanned,
    "event:subscribe_msg_popup_event": _answered,
    "event:subscribe_msg_change_event": _changed,
    "event:subscribe_msg_sent_event": _sent,
    **_PLATFORM_EVENTS,
    "event:user_get_card": _card_received,
    "event:user_consume_card": _card_used,
    "event:submit_membercard_user_info": _member_card,
    "event:shakearoundusershake": _shaken,
    "event:wificonnected": _wifi,
    "event:poi_check_notify": _store_checked,
    "event:user_enter_tempsession": _entered_chat,
}


def _text(said: Document, name: str) -> str:
    value = said.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _id(said: Document, name: str) -> str | None:
    """An id of at most 128 characters; a longer one is none, for a part of it is another's."""
    text = _text(said, name)
    return text if 0 < len(text) <= MAX_ID else None


def _message_id(said: Document, name: str) -> str | None:
    text = _id(said, name)
    return None if text == "0" else text


def _inner(said: Document, name: str) -> Document:
    value = said.get(name)
    return value if isinstance(value, Mapping) else {}


def _items(said: Document, name: str) -> list[Document]:
    """A list's items; one item alone stands without a list, in XML always and in JSON too."""
    value = said.get(name)
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, Mapping)]


def _number(said: Document, name: str, shape: re.Pattern[str]) -> float | None:
    text = _text(said, name)
    return float(text) if shape.fullmatch(text) else None


def _whole(said: Document, name: str) -> int | None:
    text = _text(said, name)
    return int(text) if _WHOLE.fullmatch(text) else None


def _metres(said: Document, name: str) -> float | None:
    return _number(said, name, _METRES)


def _time(said: Document, name: str) -> datetime | None:
    text = _text(said, name)
    return datetime.fromtimestamp(int(text), UTC) if _SECONDS.fullmatch(text) else None


def _position(said: Document, lon_name: str, lat_name: str) -> push.Position | None:
    """A pair in range; not (0, 0), which stands for no position."""
    lon, lat = _number(said, lon_name, _DEGREES), _number(said, lat_name, _DEGREES)
    if lon is None or lat is None or abs(lon) > _MAX_LON or abs(lat) > _MAX_LAT:
        return None
    return push.Position(lon, lat) if lon or lat else None


def _chosen_place(said: Document) -> tuple[push.Position | None, int | None, str]:
    """Position, scale and label. ``Location_X`` is the latitude."""
    position = _position(said, "Location_Y", "Location_X")
    return position, _whole(said, "Scale"), _text(said, "Label")

"""What each kind of push says, in XML and in JSON, and what is made of the absurd."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wechat import pushes
from shared.wechat.documents import read_json, read_xml, write_json, write_xml
from shared.wechat.push_reading import MAX_ID, MAX_KIND
from shared.wechat.pushes import (
    LocationMessage,
    LocationReport,
    PermissionRevoked,
    Position,
    Push,
    SubscriptionsAnswered,
    UnknownPush,
    UserInfoModified,
    read_push,
)
from tests.shared.wechat.push_cases import EVENTS, HEAD, MESSAGES, PLACE, PRIVACY


def read_both(document: dict[str, Any]) -> Push:
    """What it says in XML, which is what it says in JSON, numbers as numbers."""
    push = read_push(read_xml(write_xml(document)))
    assert read_push(read_json(write_json(document))) == push or isinstance(push, UnknownPush)
    return push


def says(push: Push, kind: str, members: dict[str, Any]) -> None:
    assert type(push) is getattr(pushes, kind)
    assert {name: getattr(push, name) for name in members} == members
    assert push.envelope.occurred_at == datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)
    assert push.envelope.to == "gh_51a2b3c4d5e6"


@pytest.mark.parametrize("case", MESSAGES)
def test_this_message_is_read(case: str) -> None:
    kind, content, name, members = MESSAGES[case]
    push = read_both({**HEAD, "MsgType": kind, **content, "MsgId": 24000000000000001})
    says(push, name, members)
    assert push.envelope.kind == kind
    assert push.envelope.openid == "oSLM_user_0001"
    assert push.envelope.message_id == "24000000000000001"


@pytest.mark.parametrize("case", EVENTS)
def test_this_event_is_read(case: str) -> None:
    event, content, name, members = EVENTS[case]
    person = content.get("OpenID", "oSLM_user_0001")
    for spelling in (event, event.lower(), event.upper()):
        push = read_both({**HEAD, "MsgType": "event", "Event": spelling, **content})
        says(push, name, members | waits_if(spelling, members))
        assert push.envelope.kind == f"event:{event.lower()}"
        assert push.envelope.openid == person
        assert push.envelope.message_id is None


def waits_if(spelling: str, members: dict[str, Any]) -> dict[str, Any]:
    return {"waits": spelling.lower() == "scancode_waitmsg"} if "waits" in members else {}


def test_every_class_comes_up() -> None:
    named = {case[2] for case in (*MESSAGES.values(), *EVENTS.values())} | {"UnknownPush"}
    classes = {
        name
        for name, kind in vars(pushes).items()
        if isinstance(kind, type) and issubclass(kind, Push) and kind is not Push
    }
    assert named == classes


def report(**fields: Any) -> dict[str, Any]:
    return {**HEAD, "MsgType": "event", "Event": "LOCATION", **fields}


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ("127.841963", "123.112488"), ("90.0001", "0"), ("0", "180.01"), ("0", "-181"),
        ("0", "0"), ("0.000", "-0.0"), ("", "121"), ("31", ""), ("NaN", "121"), ("inf", "121"),
        ("1e999", "121"), ("1e1", "121"), ("3_1", "121"), ("\uff13\uff11", "121"), ("0x1f", "121"),
        ("31,2", "121"), ("31.2 N", "121"), ("9" * 5000, "121"), ("31." + "1" * 5000, "121"),
        ("31", "--121"), (".5", "121"), ("31.", "121"),
    ],
)  # fmt: skip
def test_an_absurd_pair_is_no_position(latitude: str, longitude: str) -> None:
    push = read_both(report(Latitude=latitude, Longitude=longitude, Precision="30"))
    assert isinstance(push, LocationReport)
    assert push.position is None
    assert push.accuracy_m == 30


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        ("90", "180", Position(180, 90)), ("-90.0", "-180.0", Position(-180, -90)),
        ("0", "0.000001", Position(0.000001, 0)), ("+31.5", "-0.5", Position(-0.5, 31.5)),
        (" 31.5 ", "\n121.5", Position(121.5, 31.5)),
    ],
)  # fmt: skip
def test_a_pair_in_range_is_a_position(latitude: str, longitude: str, expected: Position) -> None:
    push = read_both(report(Latitude=latitude, Longitude=longitude))
    assert isinstance(push, LocationReport)
    assert push.position == expected


@pytest.mark.parametrize("precision", ["", "-1", "NaN", "inf", "1e3", "9" * 400, "unknown"])
def test_an_absurd_accuracy_is_none(precision: str) -> None:
    push = read_both(report(Latitude="31", Longitude="121", Precision=precision))
    assert isinstance(push, LocationReport)
    assert push.accuracy_m is None


def test_members_of_the_wrong_kind_are_taken_as_missing() -> None:
    inner = {"a": "b"}
    push = read_both({**HEAD, "MsgType": "location", "Location_X": inner, "Label": inner})
    assert isinstance(push, LocationMessage)
    assert (push.position, push.scale, push.label) == (None, None, "")
    for said in ("x", [["x"]], ["x"], {"List": "x"}, {"List": [["x"]]}, {"List": {"a": "b"}}):
        push = read_push(
            {**HEAD, "MsgType": "event", "Event": "subscribe_msg_popup_event",
             "SubscribeMsgPopupEvent": said, "List": said}
        )  # fmt: skip
        assert isinstance(push, SubscriptionsAnswered)
        assert push.answers == ()


@pytest.mark.parametrize(
    ("revoked", "ends"),
    [("13", True), ("18", True), ("206", True), ("301", True), ("13,8", True), ("8 18", True),
     ("8", False), ("201", False), ("1", False), ("113", False), ("", False), ("x", False)],
)  # fmt: skip
def test_what_ends_whereabouts_is_known_by_number(revoked: str, ends: bool) -> None:
    said = {**HEAD, **PRIVACY, "MsgType": "event", "Event": "user_authorization_revoke"}
    push = read_both({**said, "RevokeInfo": revoked})
    assert isinstance(push, PermissionRevoked)
    assert push.ends_whereabouts is ends


def test_a_privacy_event_without_a_person_is_about_nobody() -> None:
    push = read_both({**HEAD, "MsgType": "event", "Event": "user_info_modified"})
    assert isinstance(push, UserInfoModified)
    assert push.envelope.openid is None


@pytest.mark.parametrize("sender", ["", " ", "o" * (MAX_ID + 1)])
def test_what_comes_from_nobody_is_unknown(sender: str) -> None:
    push = read_both({**HEAD, "FromUserName": sender, "MsgType": "text", "Content": "hello"})
    assert isinstance(push, UnknownPush)
    assert push.envelope.openid is None


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({}, "unknown"),
        ({"MsgType": ""}, "unknown"),
        ({"MsgType": {"a": "b"}}, "unknown"),
        ({"MsgType": "device_text"}, "device_text"),
        ({"MsgType": "event"}, "event:"),
        ({"MsgType": "event", "Event": "debug_demo"}, "event:debug_demo"),
        ({"MsgType": "event", "Event": "e" * 500}, ("event:" + "e" * 500)[:MAX_KIND]),
    ],
)
def test_other_kinds_are_kept_as_they_came(said: dict[str, Any], kind: str) -> None:
    document = read_json(write_json({**HEAD, **said}))
    push = read_push(document)
    assert isinstance(push, UnknownPush)
    assert push.document == document
    assert push.envelope.kind == kind


@pytest.mark.parametrize(
    ("created", "expected"),
    [("1760000000", 2025), (1760000000, 2025), ("0", 1970), ("9999999999", 2286), ("", None),
     ("-1", None), ("1760000000000", None), ("9" * 5000, None), ("1.5e9", None), ("now", None)],
)  # fmt: skip
def test_an_absurd_time_is_none(created: Any, expected: int | None) -> None:
    occurred_at = read_both({**HEAD, "CreateTime": created, "MsgType": "text"}).envelope.occurred_at
    assert (occurred_at.year if occurred_at else None) == expected


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [("", None), ("0", None), (0, None), ("1" * (MAX_ID + 1), None), (24000000000000001, "24000000000000001"),
     ("49d72d67_1555684067", "49d72d67_1555684067")],
)  # fmt: skip
def test_a_message_id_is_any_short_text(given_id: Any, expected: str | None) -> None:
    push = read_both({**HEAD, "MsgType": "text", "MsgId": given_id})
    assert push.envelope.message_id == expected


def test_no_person_place_or_word_of_theirs_is_shown() -> None:
    for kind, content, *_ in MESSAGES.values():
        shown = repr(read_push({**HEAD, "MsgType": kind, **content}))
        for secret in ("oSLM", "hello", "31.23", "People"):
            assert secret not in shown
    for event, content, *_ in EVENTS.values():
        shown = repr(read_push({**HEAD, "MsgType": "event", "Event": event, **content}))
        for secret in ("oSLM", "31.23", "People", "https://a/t"):
            assert secret not in shown


_VALUES = st.recursive(
    st.text(max_size=8) | st.sampled_from(["0", "-1", "1e9", "121.5", "qrscene_"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["List", "TemplateId", "AroundBeacon", "Distance"]), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip
_MEMBERS = [*HEAD, *PLACE, *PRIVACY, "List", "EventKey", "Latitude", "Longitude", "Precision",
            "SendLocationInfo", "ScanCodeInfo", "ChosenBeacon", "AroundBeacons", "RevokeInfo",
            "SubscribeMsgPopupEvent", "SubscribeMsgSentEvent", "MsgId", "StaffOpenId"]  # fmt: skip


@given(
    event=st.sampled_from([case[0] for case in EVENTS.values()]),
    kind=st.sampled_from(["event", *(case[0] for case in MESSAGES.values())]),
    members=st.dictionaries(st.sampled_from(_MEMBERS), _VALUES),
)
def test_whatever_a_push_says_it_is_read(kind: str, event: str, members: dict[str, Any]) -> None:
    push = read_push({"MsgType": kind, "Event": event, **members})
    assert isinstance(push, Push)
    assert repr(push)

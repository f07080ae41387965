"""Third parties' vectors: what WeChat's documentation and other libraries' tests expect."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.wechat.callback import (
    CallbackAccount,
    CallbackQuery,
    Format,
    Mode,
    NotAuthentic,
    open_push,
    verify_url,
)
from shared.wechat.crypto import (
    MessageCipher,
    is_signed,
    open_user_data,
    raw_data_is_signed,
    signature,
)
from shared.wechat.documents import read_json, read_xml
from shared.wechat.pushes import (
    BeaconShaken,
    CodeScanned,
    EnteredChat,
    LocationMessage,
    LocationReport,
    LocationSelected,
    PermissionRevoked,
    Position,
    Push,
    Scanned,
    Subscribed,
    TextMessage,
    WifiConnected,
    read_push,
)
from tests.shared_data import shared_data


def vectors(group: str) -> list[dict[str, Any]]:
    rows = json.loads(shared_data("wechat_vectors.json").read_text())[group]
    assert rows
    return list(rows)


def plain_account(row: dict[str, Any]) -> CallbackAccount:
    form = Format(row.get("format", "json"))
    return CallbackAccount("wx1", row["token"], None, Mode.PLAIN, form)


def test_the_published_urls_are_verified() -> None:
    for row in vectors("url_verification"):
        assert signature(row["token"], row["timestamp"], row["nonce"]) == row["signature"], row[
            "id"
        ]
        query = CallbackQuery.of({"echostr": "4375120948345356249", **row})
        assert verify_url(plain_account(row), query) == row.get("expected_body", query.echostr)


def test_the_published_plain_pushes_are_opened() -> None:
    for row in vectors("plain_push"):
        now = datetime.fromtimestamp(int(row["timestamp"]), UTC)
        body = row.get("body", '{"MsgType": "text"}')
        expected = json.loads(body, parse_int=str)
        opened = open_push(plain_account(row), CallbackQuery.of(row), body.encode(), now)
        assert opened == expected, row["id"]


def test_the_published_messages_are_decrypted() -> None:
    for row in vectors("decrypt"):
        cipher = MessageCipher(row["encoding_aes_key"], row["appid"])
        parts = (row["timestamp"], row["nonce"], row["encrypt"])
        assert is_signed(row["msg_signature"], row["token"], *parts), row["id"]
        message = cipher.decrypt(row["encrypt"])
        expected = row["expected"]
        assert message.decode() == expected.get("msg", message.decode()), row["id"]
        assert len(message) == expected.get("msg_len", len(message)), row["id"]
        for name, value in expected.get("fields", {}).items():
            assert read_xml(message)[name] == value, row["id"]
        if "random" in expected:
            again = cipher.encrypt(message, random=expected["random"].encode())
            assert again == row["encrypt"], row["id"]


def test_the_published_encrypted_push_is_opened_whole() -> None:
    row = next(row for row in vectors("decrypt") if "body" in row)
    account = CallbackAccount(
        row["appid"], row["token"], row["encoding_aes_key"], Mode.SECURE, Format(row["format"])
    )
    now = datetime.fromtimestamp(int(row["timestamp"]), UTC)
    opened = open_push(account, CallbackQuery.of(row), row["body"].encode(), now)
    assert opened == json.loads(row["expected"]["msg"], parse_int=str)


def test_the_published_messages_are_encrypted_alike() -> None:
    for row in vectors("encrypt"):
        cipher = MessageCipher(row["encoding_aes_key"], row["appid"])
        encrypted = cipher.encrypt(row["msg"].encode(), random=row["random"].encode())
        assert encrypted == row["expected"]["encrypt"], row["id"]
        signed = signature(row["token"], row["timestamp"], row["nonce"], encrypted)
        assert signed == row["expected"]["msg_signature"], row["id"]


def test_the_published_user_data_is_opened() -> None:
    for row in vectors("user_data"):
        opened = open_user_data(row["session_key"], row["encrypted_data"], row["iv"], row["appid"])
        assert opened == row["expected"], row["id"]


def test_the_published_raw_data_is_signed() -> None:
    for row in vectors("rawdata_signature"):
        assert raw_data_is_signed(row["raw_data"], row["session_key"], row["signature"]), row["id"]


def test_the_published_forgeries_are_refused() -> None:
    """Each is a good vector with one thing changed, and so is the good one tried first."""
    refusals = {"decrypt": decrypts, "url": verifies, "user_data": opens, "rawdata": is_raw_signed}
    groups = ("decrypt", "user_data", "rawdata_signature", "url_verification")
    known = {row["id"]: row for group in groups for row in vectors(group)}
    for row in vectors("negative"):
        judge = refusals[row["kind"]]
        base = known.get(row.get("base", "wechatpy-utils"), vectors("rawdata_signature")[0])
        assert judge(base), row["id"]
        assert not judge({**base, **row, **row.get("override", {})}), row["id"]


def decrypts(row: dict[str, Any]) -> bool:
    parts = (row["timestamp"], row["nonce"], row["encrypt"])
    return is_signed(row["msg_signature"], row["token"], *parts)


def verifies(row: dict[str, Any]) -> bool:
    return is_signed(row["signature"], row["token"], row["timestamp"], row["nonce"])


def opens(row: dict[str, Any]) -> bool:
    try:
        open_user_data(row["session_key"], row["encrypted_data"], row["iv"], row["appid"])
    except NotAuthentic:
        return False
    return True


def is_raw_signed(row: dict[str, Any]) -> bool:
    return raw_data_is_signed(row["raw_data"], row["session_key"], row["signature"])


def test_the_published_payloads_are_read() -> None:
    rows = {row["id"]: row for row in vectors("payloads")}
    assert rows.keys() == PAYLOADS.keys()
    for name, row in rows.items():
        read = read_xml if row["format"] == "xml" else read_json
        push = read_push(read(row["body"].encode()))
        kind, said = PAYLOADS[name]
        assert type(push) is kind, name
        for member, value in said.items():
            assert getattr(push, member) == value, (name, member)


def test_the_person_of_a_published_payload_is_who_it_is_about() -> None:
    rows = {row["id"]: row for row in vectors("payloads")}
    for name in ("privacy-revoke-xml", "privacy-revoke-json-blanks"):
        row = rows[name]
        read = read_xml if row["format"] == "xml" else read_json
        envelope = read_push(read(row["body"].encode())).envelope
        assert envelope.openid == row["expected_fields"]["subject_openid"]
    chat = read_push(read_json(rows["kf-text-cloud-json"]["body"].encode())).envelope
    assert chat.message_id == rows["kf-text-cloud-json"]["expected_fields"]["msg_id"]


PAYLOADS: dict[str, tuple[type[Push], dict[str, Any]]] = {
    "location-message": (
        LocationMessage,
        {"position": Position(113.358803, 23.134521), "scale": 20, "label": "位置信息"},
    ),
    "location-event": (
        LocationReport,
        {"position": Position(113.352425, 23.137466), "accuracy_m": 119.38504},
    ),
    "location-event-absurd": (LocationReport, {"position": None, "accuracy_m": 30}),
    "location-select": (
        LocationSelected,
        {"position": Position(113.0, 23.0), "scale": 15, "poi_name": None, "key": "6"},
    ),
    "subscribe-scene": (Subscribed, {"scene": "123123", "ticket": "TICKET"}),
    "scan": (Scanned, {"scene": "SCENE_VALUE", "ticket": "TICKET"}),
    "shake-two": (BeaconShaken, {}),
    "shake-one": (BeaconShaken, {}),
    "wifi-connected": (WifiConnected, {"place_id": "1234", "bssid": "00:1f:7a:ad:5c:a8"}),
    "scancode-push": (CodeScanned, {"scan_type": "qrcode", "result": "1", "waits": False}),
    "privacy-revoke-xml": (PermissionRevoked, {"permissions": frozenset({"1"})}),
    "privacy-revoke-json-blanks": (PermissionRevoked, {"permissions": frozenset({"201"})}),
    "tempsession-json": (EnteredChat, {"session_from": "sessionFrom"}),
    "kf-text-cloud-json": (TextMessage, {"text": "测试"}),
}


@pytest.mark.parametrize(("name", "around"), [("shake-one", 1), ("shake-two", 2)])
def test_beacons_around_are_counted(name: str, around: int) -> None:
    row = next(row for row in vectors("payloads") if row["id"] == name)
    shaken = read_push(read_xml(row["body"].encode()))
    assert isinstance(shaken, BeaconShaken)
    assert len(shaken.around) == around
    assert shaken.chosen is not None
    assert shaken.chosen.distance_m == 0.057

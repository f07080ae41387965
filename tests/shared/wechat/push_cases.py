"""One push of each kind and variant, and what it says."""

from typing import Any

from shared.wechat.pushes import Beacon, Position, SubscriptionAnswer, SubscriptionResult

HEAD = {
    "ToUserName": "gh_51a2b3c4d5e6",
    "FromUserName": "oSLM_user_0001",
    "CreateTime": 1760000000,
}
PLACE = {
    "Location_X": "31.230416", "Location_Y": "121.473701", "Scale": "16",
    "Label": "People's Square",
}  # fmt: skip
PEOPLES_SQUARE = Position(121.473701, 31.230416)
PRIVACY = {"OpenID": "oSLM_user_0007", "AppID": "wx0011223344556677"}
BEACON = {"Uuid": "FDA50693", "Major": 10, "Minor": 42, "Distance": 0.8}
ANSWER = {"TemplateId": "tpl_A", "SubscribeStatusString": "accept", "PopupScene": "0"}
REFUSAL = {"TemplateId": "tpl_B", "SubscribeStatusString": "reject"}
SENT = {
    "TemplateId": "tpl_A", "MsgID": "2500000000000000001", "ErrorCode": "0",
    "ErrorStatus": "success",
}  # fmt: skip
ACCEPTED = SubscriptionAnswer("tpl_A", "accept", "0")
REFUSED = SubscriptionAnswer("tpl_B", "reject", None)

MESSAGES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "a text": ("text", {"Content": "hello"}, "TextMessage", {"text": "hello"}),
    "an image": ("image", {"MediaId": "m_1"}, "MediaMessage", {"media_id": "m_1"}),
    "a link": ("link", {"Url": "https://example.com"}, "MediaMessage", {"media_id": None}),
    "a card": ("miniprogrampage", {"Title": "t"}, "MediaMessage", {"media_id": None}),
    "a place": (
        "location", PLACE, "LocationMessage",
        {"position": PEOPLES_SQUARE, "scale": 16, "label": "People's Square"},
    ),
}  # fmt: skip
EVENTS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "a follow": (
        "subscribe", {"EventKey": ""}, "Subscribed", {"scene": None, "ticket": None, "key": ""},
    ),
    "a follow by a scene": (
        "subscribe", {"EventKey": "qrscene_store42", "Ticket": "gQH_t"}, "Subscribed",
        {"scene": "store42", "ticket": "gQH_t"},
    ),
    "a follow by a scene named like the prefix": (
        "subscribe", {"EventKey": "qrscene_qrscene_1"}, "Subscribed", {"scene": "qrscene_1"},
    ),
    "a follow by a barcode": (
        "subscribe", {"EventKey": "scanbarcode|xxx|keystandard|yyy|1"}, "Subscribed",
        {"scene": None, "key": "scanbarcode|xxx|keystandard|yyy|1"},
    ),
    "an unfollow": ("unsubscribe", {"EventKey": ""}, "Unsubscribed", {}),
    "a scan": (
        "SCAN", {"EventKey": "store42", "Ticket": "gQH_t"}, "Scanned",
        {"scene": "store42", "ticket": "gQH_t"},
    ),
    "a scan of a scene named like the prefix": (
        "scan", {"EventKey": "qrscene_1"}, "Scanned", {"scene": "qrscene_1", "ticket": None},
    ),
    "a click": ("CLICK", {"EventKey": "CHECKIN"}, "MenuClicked", {"key": "CHECKIN"}),
    "a view": (
        "VIEW", {"EventKey": "https://example.com/s/42", "MenuId": 430000001}, "MenuViewed",
        {"url": "https://example.com/s/42", "menu_id": "430000001"},
    ),
    "a view of a mini-program": (
        "view_miniprogram", {"EventKey": "pages/a"}, "MenuViewed",
        {"url": "pages/a", "menu_id": None},
    ),
    "a report": (
        "LOCATION", {"Latitude": "31.230416", "Longitude": "121.473701", "Precision": "65.000000"},
        "LocationReport", {"position": PEOPLES_SQUARE, "accuracy_m": 65},
    ),
    "a selection": (
        "location_select",
        {"EventKey": "PICK", "SendLocationInfo": {**PLACE, "Poiname": "Store 42"}},
        "LocationSelected",
        {"key": "PICK", "position": PEOPLES_SQUARE, "scale": 16, "poi_name": "Store 42"},
    ),
    "a scanned code": (
        "scancode_push",
        {"EventKey": "S", "ScanCodeInfo": {"ScanType": "qrcode", "ScanResult": "https://a/t"}},
        "CodeScanned", {"scan_type": "qrcode", "result": "https://a/t", "waits": False},
    ),
    "a scanned code that waits": (
        "scancode_waitmsg", {"ScanCodeInfo": {"ScanType": "qrcode", "ScanResult": "1"}},
        "CodeScanned", {"key": "", "result": "1", "waits": True},
    ),
    "an answer, wrapped": (
        "subscribe_msg_popup_event", {"SubscribeMsgPopupEvent": {"List": ANSWER}},
        "SubscriptionsAnswered", {"answers": (ACCEPTED,)},
    ),
    "answers, wrapped": (
        "subscribe_msg_popup_event", {"SubscribeMsgPopupEvent": {"List": [ANSWER, REFUSAL]}},
        "SubscriptionsAnswered", {"answers": (ACCEPTED, REFUSED)},
    ),
    "an answer": (
        "subscribe_msg_popup_event", {"List": ANSWER},
        "SubscriptionsAnswered", {"answers": (ACCEPTED,)},
    ),
    "answers": (
        "subscribe_msg_popup_event", {"List": [ANSWER, REFUSAL]},
        "SubscriptionsAnswered", {"answers": (ACCEPTED, REFUSED)},
    ),
    "a change": (
        "subscribe_msg_change_event", {"SubscribeMsgChangeEvent": {"List": REFUSAL}},
        "SubscriptionsChanged", {"changes": (REFUSED,)},
    ),
    "a change in the wrapper of an answer": (
        "subscribe_msg_change_event", {"SubscribeMsgPopupEvent": {"List": [REFUSAL, REFUSAL]}},
        "SubscriptionsChanged", {"changes": (REFUSED, REFUSED)},
    ),
    "a result": (
        "subscribe_msg_sent_event", {"SubscribeMsgSentEvent": {"List": SENT}}, "SubscriptionsSent",
        {"results": (SubscriptionResult("tpl_A", "2500000000000000001", 0, "success"),)},
    ),
    "a result without wrapper": (
        "subscribe_msg_sent_event", {"List": {**SENT, "ErrorCode": "x"}}, "SubscriptionsSent",
        {"results": (SubscriptionResult("tpl_A", "2500000000000000001", None, "success"),)},
    ),
    "a beacon": (
        "ShakearoundUserShake",
        {"ChosenBeacon": BEACON, "AroundBeacons": {"AroundBeacon": BEACON}}, "BeaconShaken",
        {
            "chosen": Beacon("FDA50693", "10", "42", 0.8),
            "around": (Beacon("FDA50693", "10", "42", 0.8),),
        },
    ),
    "no beacon": ("ShakearoundUserShake", {}, "BeaconShaken", {"chosen": None, "around": ()}),
    "a network": (
        "WifiConnected", {"VendorId": 3001, "PlaceId": 1234, "DeviceNo": "00:1F:7A:AD:5C:A8"},
        "WifiConnected",
        {"place_id": "1234", "vendor_id": "3001", "bssid": "00:1f:7a:ad:5c:a8"},
    ),
    "a store refused": (
        "poi_check_notify",
        {"UniqId": "store42", "PoiId": "408738", "Result": "fail", "Msg": "reason"},
        "StoreChecked",
        {"store_id": "store42", "poi_id": "408738", "passed": False, "message": "reason"},
    ),
    "a store taken": (
        "poi_check_notify", {"UniqId": "store42", "Result": "succ"}, "StoreChecked",
        {"passed": True},
    ),
    "a card": (
        "user_get_card",
        {"CardId": "pC1", "IsGiveByFriend": 1, "UserCardCode": "123", "OuterStr": "store42"},
        "CardReceived", {"card_id": "pC1", "code": "123", "by_friend": True, "outer": "store42"},
    ),
    "a card used": (
        "user_consume_card",
        {
            "CardId": "pC1", "UserCardCode": "123", "ConsumeSource": "FROM_MOBILE_HELPER",
            "LocationName": "Store 42", "StaffOpenId": "oSLM_staff_7", "OuterStr": "store42",
        },
        "CardUsed",
        {
            "source": "FROM_MOBILE_HELPER", "location_name": "Store 42",
            "staff_openid": "oSLM_staff_7", "outer": "store42",
        },
    ),
    "a member card": (
        "submit_membercard_user_info", {"CardId": "pC1", "UserCardCode": "123"},
        "MemberCardSubmitted", {"card_id": "pC1", "code": "123"},
    ),
    "a chat": (
        "user_enter_tempsession", {"SessionFrom": "home"}, "EnteredChat", {"session_from": "home"},
    ),
    "a revocation": (
        "user_authorization_revoke", {**PRIVACY, "RevokeInfo": "13"}, "PermissionRevoked",
        {"permissions": frozenset({"13"}), "ends_whereabouts": True, "app_id": PRIVACY["AppID"]},
    ),
    "a profile cleaned": (
        "user_info_modified", PRIVACY, "UserInfoModified", {"app_id": PRIVACY["AppID"]},
    ),
    "a cancellation": (
        "user_authorization_cancellation", PRIVACY, "AccountCancelled",
        {"app_id": PRIVACY["AppID"]},
    ),
}  # fmt: skip

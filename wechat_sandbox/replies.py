"""What a callback may answer a push with."""

import json

from shared.wechat.callback import Format, UnreadablePush
from shared.wechat.documents import read_xml
from wechat_sandbox.accounts import Account

_SILENT = (b"", b"success")


def is_legal(account: Account, body: bytes) -> bool:
    """Nothing, ``success``, or a document in the account's format; an HTML page is neither."""
    if body.strip() in _SILENT:
        return True
    try:
        if account.format is Format.XML:
            return "Encrypt" in (document := read_xml(body)) or "MsgType" in document
        document = json.loads(body)
    except (UnreadablePush, ValueError):
        return False
    return isinstance(document, dict)

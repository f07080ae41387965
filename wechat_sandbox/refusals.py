"""Errors as WeChat answers them: HTTP 200, ``errcode`` and ``errmsg``."""

TEXTS = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest, could get access_token by"
    " getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40008: "invalid message type",
    40013: "invalid appid",
    40029: "invalid code",
    40037: "invalid template_id",
    40052: "invalid action name",
    40053: "invalid action info, please check document",
    40097: "invalid args",
    40125: "invalid appsecret",
    40163: "code been used",
    40164: "invalid ip",
    40169: "invalid length for scene, or the data is not json string",
    40226: "code blocked",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41008: "missing code",
    41030: "invalid page",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    43101: "user refuse to accept the msg",
    43108: "concurrent send to one user",
    44004: "empty content",
    45002: "content size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    47001: "data format error",
    47003: "argument invalid!",
    48001: "api unauthorized",
}
"""The words for each code that this stand-in answers with; clients should go by the code."""


class Refused(Exception):  # noqa: N818 - refusals are named as whole phrases, without "Error"
    """A call that WeChat refuses; ``detail`` goes behind the usual words."""

    def __init__(self, errcode: int, detail: str = "") -> None:
        words = TEXTS.get(errcode, "error")
        super().__init__(f"{errcode} {words} {detail}".strip())
        self.errcode = errcode
        self.errmsg = f"{words} {detail}".strip()


class NotPossible(Exception):  # noqa: N818 - as above
    """What the stand-in's own user asked for cannot be: nobody by that name, no such code."""

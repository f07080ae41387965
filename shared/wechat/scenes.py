"""The scene that a code carries, in the form that WeChat takes."""

import re
from datetime import timedelta
from typing import Any

MAX_QR_SCENE = 64
MAX_QR_AGE = timedelta(seconds=2_592_000)
_MINI_SCENE = re.compile(r"[0-9A-Za-z!#$&'()*+,/:;=?@._~-]{1,32}")


def mini_scene(scene: str) -> str:
    """``scene`` as it is, where a mini-program code can carry it. Raises ValueError.

    Source: WeChat's page of getwxacodeunlimit: at most 32 visible characters, no per cent sign.
    """
    if not _MINI_SCENE.fullmatch(scene):
        raise ValueError("must be 1 to 32 of 0-9 A-Z a-z !#$&'()*+,/:;=?@-._~")
    return scene


def qr_action(scene: str, expires_in: timedelta | None) -> dict[str, Any]:
    """The body that makes a code of an official account. Raises ValueError.

    Source: WeChat's page of qrcode/create: 1 to 64 characters, at most 30 days if it expires.
    """
    if not 1 <= len(scene) <= MAX_QR_SCENE:
        raise ValueError("must have 1 to 64 characters")
    info = {"scene": {"scene_str": scene}}
    if expires_in is None:
        return {"action_name": "QR_LIMIT_STR_SCENE", "action_info": info}
    if not timedelta(seconds=60) <= expires_in <= MAX_QR_AGE:
        raise ValueError("must last 60 s to 30 days")
    seconds = int(expires_in.total_seconds())
    return {"expire_seconds": seconds, "action_name": "QR_STR_SCENE", "action_info": info}

"""QR codes of official accounts and codes of mini-programs."""

import io
from collections.abc import Mapping
from typing import Any

import segno

from wechat_sandbox.accounts import Account, Kind
from wechat_sandbox.acts_of_phones import SCENE_CHARACTERS
from wechat_sandbox.api_of_messages import check_page
from wechat_sandbox.calls import Answer, ApiCall, Image
from wechat_sandbox.quotas import DAY_S, MINUTE_S
from wechat_sandbox.refusals import Refused

_LONGEST_S = 2_592_000
_USUAL_S = 60
_HIGHEST_PERMANENT = 100_000
_SCENE_MOST, _MINI_SCENE_MOST = 64, 32
_WIDTHS = range(280, 1_281)
_USUAL_WIDTH = 430
_VERSIONS = ("release", "trial", "develop")
_A_DAY, _MINI_A_MINUTE = 100_000, 5_000


async def create_qr_code(call: ApiCall) -> Answer:
    account, asked = call.account_by_token(), call.json()
    if account.kind is not Kind.SERVICE or not account.verified:
        raise Refused(48001)
    call.world.quotas.take(("qrcode", account.account_id), _A_DAY, DAY_S)
    scene, lifetime_s = _scene_of(asked)
    code = call.world.scenes.create(account.account_id, scene, lifetime_s)
    told: dict[str, Any] = {"ticket": code.ticket, "url": code.url}
    return told if lifetime_s is None else {**told, "expire_seconds": lifetime_s}


async def mini_code(call: ApiCall) -> Answer:
    """The image of a code that opens a page with a scene; errors are JSON all the same."""
    account, asked = call.account_by_token(), call.json()
    if account.kind is not Kind.MINI_PROGRAM:
        raise Refused(48001)
    scene = asked.get("scene")
    if not isinstance(scene, str) or not 0 < len(scene) <= _MINI_SCENE_MOST:
        raise Refused(40169)
    if not set(scene) <= SCENE_CHARACTERS:
        raise Refused(40169)
    _check_look(account, asked)
    call.world.quotas.take(("wxacode", account.account_id), _MINI_A_MINUTE, MINUTE_S)
    page = asked.get("page") or "pages/index/index"
    width = asked.get("width", _USUAL_WIDTH)
    return picture(f"weixin://wxacode/{account.app_id}/{page}?scene={scene}", width)


def picture(content: str, width: int = _USUAL_WIDTH) -> Image:
    """A QR code, at least ``width`` pixels wide. WeChat's own are JPEG; this is PNG."""
    code = segno.make(content, error="m", micro=False)
    scale = -(-width // code.symbol_size(border=4)[0])
    file = io.BytesIO()
    code.save(file, kind="png", scale=scale, border=4)
    return Image(file.getvalue())


def _check_look(account: Account, asked: Mapping[str, Any]) -> None:
    page, width = asked.get("page") or "", asked.get("width", _USUAL_WIDTH)
    if not isinstance(page, str):
        raise Refused(41030)
    published = account.pages if asked.get("check_path", True) else ()
    check_page(published, page)
    if asked.get("env_version", "release") not in _VERSIONS:
        raise Refused(40097)
    if not isinstance(width, int) or width not in _WIDTHS:
        raise Refused(40097)


def _scene_of(asked: Mapping[str, Any]) -> tuple[str, int | None]:
    """The scene and how long the code lives; None for ever.

    Raises Refused 40052 for an unknown action and 40053 for a scene that it cannot have.
    """
    action = asked.get("action_name")
    info = asked.get("action_info")
    scene = info.get("scene") if isinstance(info, dict) else None
    if not isinstance(scene, dict):
        raise Refused(40053)
    if action in ("QR_STR_SCENE", "QR_LIMIT_STR_SCENE"):
        text = _text_scene(scene.get("scene_str"))
    elif action in ("QR_SCENE", "QR_LIMIT_SCENE"):
        most = _HIGHEST_PERMANENT if action == "QR_LIMIT_SCENE" else 2**32 - 1
        text = _number_scene(scene.get("scene_id"), most)
    else:
        raise Refused(40052)
    return text, None if "LIMIT" in action else _lifetime_s(asked.get("expire_seconds", _USUAL_S))


def _text_scene(text: object) -> str:
    if not isinstance(text, str) or not 0 < len(text) <= _SCENE_MOST:
        raise Refused(40053)
    return text


def _number_scene(number: object, most: int) -> str:
    if not isinstance(number, int) or not 0 < number <= most:
        raise Refused(40053)
    return str(number)


def _lifetime_s(seconds: object) -> int:
    if not isinstance(seconds, int) or not 0 < seconds <= _LONGEST_S:
        raise Refused(40053)
    return seconds

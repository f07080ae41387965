"""Scenes: what a code may carry, and when it has to be made anew at WeChat."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.geo_api.wechat.accounts.domain import AccountKind
from services.geo_api.wechat.accounts.troubles import NotOfThisAccount
from shared.errors import Conflict, FieldFault, Malformed, NotFound

_SCENE = re.compile(r"[0-9A-Za-z!#$&'()*+,:;=?@._~-]+")
_ONLY_DOTS = re.compile(r"\.+")
_PAGE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_/.-]*")
MAX_MINI_SCENE, MAX_QR_SCENE = 32, 64
MIN_VALID_S, MAX_VALID_S = 60, 2_592_000


class SceneKind(StrEnum):
    """``qr`` is a parametric code of a service account, ``mini_code`` opens a mini-program."""

    QR = "qr"
    MINI_CODE = "mini_code"


class SceneUnknown(NotFound):
    slug = "wechat-scene-unknown"
    title = "The account has no such scene"


class SceneExpired(Conflict):
    """Put it again for a code that counts anew."""

    slug = "wechat-scene-expired"
    title = "The code of this scene has expired"


@dataclass(frozen=True, slots=True)
class SceneContent:
    """What an operator says of a scene; without ``valid_for`` its code stays for good."""

    store_id: str | None
    campaign: str | None
    kol: str | None
    page: str | None
    valid_for: timedelta | None


@dataclass(frozen=True, slots=True)
class Made:
    """What WeChat made of it. A mini-program code has neither ticket nor address."""

    ticket: str | None
    url: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Scene:
    """``closed_at``: it is shown no more; what hangs somewhere still counts for what it was for."""

    account_id: str
    scene: str
    kind: SceneKind
    store_id: str | None
    campaign: str | None
    kol: str | None
    page: str | None
    made: Made
    created_at: datetime
    created_by: str
    closed_at: datetime | None

    def has_expired(self, at: datetime) -> bool:
        return self.made.expires_at is not None and self.made.expires_at <= at


def kind_of(account: AccountKind) -> SceneKind:
    """Raises NotOfThisAccount for subscription accounts, which have no parametric codes."""
    if account is AccountKind.SUBSCRIPTION:
        raise NotOfThisAccount(
            "WeChat makes codes with a scene for verified service accounts only."
        )
    return SceneKind.QR if account is AccountKind.SERVICE else SceneKind.MINI_CODE


def check(kind: SceneKind, scene: str, content: SceneContent) -> None:
    """That WeChat can make a code of it. Raises Malformed, which names each fault.

    A mini-program code carries 32 characters, a parametric one 64. Of those that WeChat allows we
    leave out the slash, which would end a part of our own address.
    Source: WeChat's pages of getwxacodeunlimit and qrcode/create.
    """
    faults = [*_scene_faults(kind, scene), *_content_faults(kind, content)]
    if faults:
        raise Malformed(*faults)


def _scene_faults(kind: SceneKind, scene: str) -> list[FieldFault]:
    most = MAX_MINI_SCENE if kind is SceneKind.MINI_CODE else MAX_QR_SCENE
    at = "path:scene"
    if len(scene) > most:
        return [FieldFault(at, f"has {len(scene)} characters; a code of this kind carries {most}")]
    if not _SCENE.fullmatch(scene) or _ONLY_DOTS.fullmatch(scene):
        allowed = "0-9 A-Z a-z and !#$&'()*+,:;=?@-._~, and not only dots"
        return [FieldFault(at, f"must be of {allowed}")]
    return []


def _content_faults(kind: SceneKind, content: SceneContent) -> list[FieldFault]:
    faults = []
    if kind is SceneKind.QR and content.page is not None:
        faults.append(FieldFault("/page", "belongs to codes of mini-programs: leave it out"))
    if kind is SceneKind.MINI_CODE and content.valid_for is not None:
        faults.append(FieldFault("/valid_for_s", "codes of mini-programs stay: leave it out"))
    if content.page is not None and not _PAGE.fullmatch(content.page):
        detail = "must be a path such as pages/home/index, without a leading slash or a query"
        faults.append(FieldFault("/page", detail))
    return faults


def needs_code(current: Scene | None, content: SceneContent, at: datetime) -> bool:
    """Whether WeChat has to be asked for a code.

    Not where another store, campaign or KOL is put to a code that is there: a poster may move.
    """
    if current is None:
        return True
    if current.kind is SceneKind.MINI_CODE:
        return current.page != content.page
    stays = current.made.expires_at is None
    return stays != (content.valid_for is None) or current.has_expired(at)

"""Keeping scenes: each has its code at WeChat, made once."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places import repository as places
from services.geo_api.places.domain import StoreClosed, StoreUnknown
from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.accounts.troubles import (
    credentials_of,
    refusal_for_operator,
    tell_operators,
)
from services.geo_api.wechat.scenes import keeping
from services.geo_api.wechat.scenes.domain import (
    Made,
    Scene,
    SceneContent,
    SceneExpired,
    SceneKind,
    SceneUnknown,
    check,
    kind_of,
    needs_code,
)
from services.geo_api.wechat.tools import WeChatTools
from shared.errors import FieldFault, Malformed
from shared.qr import PictureForm, draw_qr
from shared.wechat.answers import MiniCode, WeChatRefused, WeChatUnreachable
from shared.wechat.errcodes import Trouble

_WRONG_PAGE = 41030


@dataclass(frozen=True, slots=True)
class Wanted:
    """``by`` whom, and when, a scene is put."""

    account: LiveAccount
    scene: str
    content: SceneContent
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Picture:
    content: bytes
    media_type: str


async def put(tools: WeChatTools, wanted: Wanted) -> tuple[Scene, bool]:
    """The scene, with its code, and whether it is new.

    WeChat is asked before anything is stored, and only where there is no code yet that will do;
    so whoever puts many may put them again after a failure.
    """
    kind = kind_of(wanted.account.kind)
    check(kind, wanted.scene, wanted.content)
    async with tools.database.begin() as connection:
        current = await keeping.find(connection, wanted.account.account_id, wanted.scene)
        await _require_store(connection, wanted.content.store_id)
    if current is None or needs_code(current, wanted.content, wanted.at):
        made = await _made(tools, kind, wanted)
    else:
        made = current.made
    async with tools.database.begin() as connection:
        stored = await keeping.write(connection, _scene(kind, wanted, made))
    return stored, current is None or current.closed_at is not None


async def read(connection: AsyncConnection, account_id: str, scene: str) -> Scene:
    """An open scene. Raises SceneUnknown."""
    found = await keeping.find(connection, account_id, scene)
    if found is None or found.closed_at is not None:
        raise SceneUnknown("The account has no open scene of this name.")
    return found


async def close(connection: AsyncConnection, account_id: str, scene: str, now: datetime) -> None:
    """Show it no more; again changes nothing. Raises SceneUnknown."""
    if not await keeping.close(connection, account_id, scene, now):
        raise SceneUnknown("The account has no scene of this name.")


async def picture(
    tools: WeChatTools, account: LiveAccount, scene: Scene, form: PictureForm, width_px: int
) -> Picture:
    """The code to print: a parametric one is drawn here, one of a mini-program by WeChat.

    Raises SceneExpired, and what ``refusal_for_operator`` gives.
    """
    if scene.has_expired(tools.clock()):
        raise SceneExpired("Put the scene again: WeChat then makes it a code that counts.")
    if scene.kind is SceneKind.QR:
        return Picture(draw_qr(scene.made.url or "", form, width_px), form.value)
    code = MiniCode(scene.scene, scene.page, width_px, check_page=False)
    try:
        content = await tools.client.make_mini_code(credentials_of(account), code)
    except (WeChatRefused, WeChatUnreachable) as failure:
        await tell_operators(tools, account.account_id, failure)
        raise refusal_for_operator(failure) from None
    png = content.startswith(b"\x89PNG")
    return Picture(content, "image/png" if png else "image/jpeg")


async def _require_store(connection: AsyncConnection, store_id: str | None) -> None:
    """Raises StoreUnknown and StoreClosed."""
    if store_id is None:
        return
    store = (await places.stores(connection, [store_id])).get(store_id)
    if store is None:
        raise StoreUnknown(f"There is no store {store_id}.")
    if store.closed_at is not None:
        raise StoreClosed(f"Store {store_id} is closed for good.")


async def _made(tools: WeChatTools, kind: SceneKind, wanted: Wanted) -> Made:
    """Raises Malformed for what WeChat finds wrong, else what ``refusal_for_operator`` gives."""
    credentials, content = credentials_of(wanted.account), wanted.content
    try:
        if kind is SceneKind.MINI_CODE:
            code = MiniCode(wanted.scene, content.page)
            await tools.client.make_mini_code(credentials, code)
            return Made(None, None, None)
        made = await tools.client.make_qr_code(credentials, wanted.scene, content.valid_for)
    except (WeChatRefused, WeChatUnreachable) as failure:
        if isinstance(failure, WeChatRefused) and failure.trouble is Trouble.BAD_VALUE:
            at = "/page" if failure.errcode == _WRONG_PAGE else "path:scene"
            raise Malformed(FieldFault(at, f"WeChat: {failure.errmsg}")) from None
        await tell_operators(tools, wanted.account.account_id, failure)
        raise refusal_for_operator(failure) from None
    return Made(made.ticket, made.url, made.expires_at)


def _scene(kind: SceneKind, wanted: Wanted, made: Made) -> Scene:
    content = wanted.content
    return Scene(
        account_id=wanted.account.account_id,
        scene=wanted.scene,
        kind=kind,
        store_id=content.store_id,
        campaign=content.campaign,
        kol=content.kol,
        page=content.page,
        made=made,
        created_at=wanted.at,
        created_by=wanted.by,
        closed_at=None,
    )

"""HTTP of scenes: codes on posters, tables and screens, and what each stands for."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from services.geo_api.places.domain import StoreClosed, StoreUnknown
from services.geo_api.places.endpoints.common import Now
from services.geo_api.wechat.accounts.domain import AccountUnknown
from services.geo_api.wechat.accounts.endpoints import AccountId
from services.geo_api.wechat.accounts.troubles import (
    AccountNotInOrder,
    NotOfThisAccount,
    WeChatAway,
)
from services.geo_api.wechat.scenes import keeping, service
from services.geo_api.wechat.scenes.domain import MAX_QR_SCENE, SceneExpired, SceneUnknown
from services.geo_api.wechat.scenes.schemas import Label, SceneIn, SceneOut
from services.geo_api.wechat.tools import WeChatTools
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Malformed
from shared.ids import Slug
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, encode_cursor, last_id
from shared.problems import documented
from shared.qr import USUAL_WIDTH_PX, PictureForm

router = APIRouter(prefix="/v1/wechat/{account_id}/scenes", tags=["wechat scenes"])

Keeper = Annotated[Principal, allow(Role.SERVER, Role.MARKETER)]
SceneName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=MAX_QR_SCENE,
        description="What the code carries: up to 64 characters, in mini-programs 32",
    ),
]
_FROM_WECHAT = (WeChatAway, AccountNotInOrder, NotOfThisAccount)


def _tools(request: Request) -> WeChatTools:
    tools: WeChatTools = request.app.state.wechat
    return tools


Tools = Annotated[WeChatTools, Depends(_tools)]


@router.put(
    "/{scene}",
    responses={
        201: {"model": SceneOut, "description": "Created"},
        **documented(Malformed, AccountUnknown, StoreUnknown, StoreClosed, *_FROM_WECHAT),
    },
)
async def put_scene(
    account_id: AccountId,
    scene: SceneName,
    body: SceneIn,
    *,
    caller: Keeper,
    now: Now,
    tools: Tools,
    response: Response,
) -> SceneOut:
    """Make a code at WeChat, or let one that is there stand for something else.

    201 the first time, 200 after. Sent again, it asks WeChat for no other code, unless the code
    expired. What was scanned before keeps the store, campaign and KOL that it was owed to.
    """
    account = tools.accounts.find(account_id)
    wanted = service.Wanted(account, scene, body.content(), caller.name, now)
    stored, is_new = await service.put(tools, wanted)
    response.status_code = 201 if is_new else 200
    return SceneOut.of(stored)


@router.get("/{scene}", responses=documented(SceneUnknown))
async def get_scene(
    account_id: AccountId, scene: SceneName, _: Keeper, session: Session
) -> SceneOut:
    """A scene and what it stands for."""
    return SceneOut.of(await service.read(await session.connection(), account_id, scene))


@router.get("", responses=documented(Malformed))
async def list_scenes(
    account_id: AccountId,
    _: Keeper,
    session: Session,
    *,
    store_id: Annotated[Slug | None, Query(description="Of this store only")] = None,
    campaign: Annotated[Label | None, Query(description="Of this campaign only")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[SceneOut]:
    """The scenes of an account, by name."""
    found = await keeping.list_after(
        await session.connection(), account_id, last_id(cursor), limit + 1,
        store_id=store_id, campaign=campaign,
    )  # fmt: skip
    shown = found[:limit]
    return Page(
        items=[SceneOut.of(scene) for scene in shown],
        next_cursor=encode_cursor(shown[-1].scene) if len(found) > limit else None,
    )


@router.delete("/{scene}", status_code=204, responses=documented(SceneUnknown))
async def delete_scene(
    account_id: AccountId, scene: SceneName, _: Keeper, now: Now, session: Session
) -> None:
    """Take a scene off the list. WeChat keeps the code: what hangs somewhere still counts."""
    await service.close(await session.connection(), account_id, scene, now)


@router.get(
    "/{scene}/image",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}, "image/svg+xml": {}, "image/jpeg": {}}},
        **documented(Malformed, AccountUnknown, SceneUnknown, SceneExpired, *_FROM_WECHAT),
    },
)
async def get_scene_image(
    account_id: AccountId,
    scene: SceneName,
    *,
    _: Keeper,
    tools: Tools,
    width_px: Annotated[int, Query(ge=280, le=1280)] = USUAL_WIDTH_PX,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """The code to print.

    That of a service account is PNG, or SVG by Accept; the round ones of mini-programs are drawn by
    WeChat, as PNG or JPEG.
    """
    account = tools.accounts.find(account_id)
    async with tools.database.begin() as connection:
        found = await service.read(connection, account_id, scene)
    form = PictureForm.wanted(accept)
    picture = await service.picture(tools, account, found, form, width_px)
    return Response(picture.content, media_type=picture.media_type)

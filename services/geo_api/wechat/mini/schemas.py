"""Wire shapes of what mini-programs send and get."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.geo_api.wechat.mini.scans import Recorded
from services.geo_api.wechat.scenes.domain import MAX_MINI_SCENE
from shared.ids import Slug
from shared.wire import WireModel

Code = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
SceneText = Annotated[
    str,
    StringConstraints(max_length=MAX_MINI_SCENE, pattern=r"^[0-9A-Za-z!#$&'()*+,/:;=?@._~-]+$"),
]
"""Whatever a mini-program code can carry, also one that was not made here."""


class WeChatLogin(WireModel):
    """Whoever ``code`` stands for, at the mini-program ``account_id``."""

    account_id: Slug
    code: Annotated[Code, Field(description="Of wx.login; counts once, for five minutes")]


class PhoneIn(WireModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "e31968a7f94cc5ee25fafc"}]})

    code: Annotated[
        Code, Field(description="Of the button getPhoneNumber; not the code of wx.login")
    ]


class PhoneOut(BaseModel):
    """The number with its end alone."""

    phone: str


class ScanIn(WireModel):
    """``id`` is the app's own, kept for sending the same again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "0198f1c2-7a3b-7c44-9d55-66f7a8b9c0d1", "scene": "s=store-1"}]
        }
    )

    id: UUID
    scene: Annotated[SceneText, Field(description="decodeURIComponent(query.scene)")]


class ScannedStore(BaseModel):
    store_id: str
    name: str
    brand: str | None
    address: str | None


class ScanInvitation(BaseModel):
    token: str
    url: str
    expires_at: datetime


class ScanOut(BaseModel):
    """All null where the scene is not kept here; ``invitation`` null for members."""

    store: ScannedStore | None
    campaign: str | None
    kol: str | None
    invitation: ScanInvitation | None

    @classmethod
    def of(cls, recorded: Recorded) -> Self:
        store, invitation = recorded.store, recorded.invitation
        return cls(
            store=store
            and ScannedStore(
                store_id=store.store_id,
                name=store.content.name,
                brand=store.content.brand,
                address=store.content.address,
            ),
            campaign=recorded.campaign,
            kol=recorded.kol,
            invitation=invitation
            and ScanInvitation(
                token=invitation.token, url=invitation.url, expires_at=invitation.expires_at
            ),
        )

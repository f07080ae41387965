"""Wire shapes of scenes."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.geo_api.wechat.scenes.domain import (
    MAX_VALID_S,
    MIN_VALID_S,
    Scene,
    SceneContent,
    SceneKind,
)
from shared.ids import Slug
from shared.wire import Integer, WireModel

SCENE_EXAMPLE: dict[str, Any] = {
    "store_id": "nanjing-road-1",
    "campaign": "autumn-2026",
    "kol": "lin",
    "page": "pages/home/index",
}

Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]
PagePath = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class SceneIn(WireModel):
    """What the scans of a code are owed to. ``page`` is for codes of mini-programs."""

    model_config = ConfigDict(json_schema_extra={"examples": [SCENE_EXAMPLE]})

    store_id: Annotated[Slug | None, Field(description="Where the code leads")] = None
    campaign: Label | None = None
    kol: Annotated[Label | None, Field(description="Who brought people here")] = None
    page: Annotated[PagePath | None, Field(description="Null: the home page")] = None
    valid_for_s: Annotated[
        Integer | None,
        Field(
            ge=MIN_VALID_S,
            le=MAX_VALID_S,
            description="Codes of service accounts only; null: it stays (100,000 of an account may)",
        ),
    ] = None

    def content(self) -> SceneContent:
        return SceneContent(
            store_id=self.store_id,
            campaign=self.campaign,
            kol=self.kol,
            page=self.page,
            valid_for=None if self.valid_for_s is None else timedelta(seconds=self.valid_for_s),
        )


class SceneOut(BaseModel):
    """``url`` is what a parametric code shows; ``expires_at`` null: it stays."""

    account_id: str
    scene: str
    kind: SceneKind
    store_id: str | None
    campaign: str | None
    kol: str | None
    page: str | None
    url: str | None
    expires_at: datetime | None
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, scene: Scene) -> Self:
        return cls(
            account_id=scene.account_id,
            scene=scene.scene,
            kind=scene.kind,
            store_id=scene.store_id,
            campaign=scene.campaign,
            kol=scene.kol,
            page=scene.page,
            url=scene.made.url,
            expires_at=scene.made.expires_at,
            created_at=scene.created_at,
            created_by=scene.created_by,
        )

"""Queries of scenes for those who keep them."""

from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.scenes.domain import Made, Scene, SceneKind

_COLUMNS = """account_id, scene, kind, store_id, campaign, kol, page, ticket, url, expires_at,
    created_at, created_by, closed_at"""

_FIND = text(f"""
    SELECT {_COLUMNS} FROM geo.wechat_scenes WHERE account_id = :account_id AND scene = :scene
""")

_LIST = text(f"""
    SELECT {_COLUMNS} FROM geo.wechat_scenes
    WHERE account_id = :account_id AND closed_at IS NULL
        AND scene COLLATE "C" > :after
        AND (CAST(:store_id AS text) IS NULL OR store_id = :store_id)
        AND (CAST(:campaign AS text) IS NULL OR campaign = :campaign)
    ORDER BY scene COLLATE "C" LIMIT :most
""")

# Who made it first, and when, stays.
_WRITE = text(f"""
    INSERT INTO geo.wechat_scenes AS s ({_COLUMNS})
    VALUES (:account_id, :scene, :kind, :store_id, :campaign, :kol, :page, :ticket, :url,
        :expires_at, :created_at, :created_by, NULL)
    ON CONFLICT (account_id, scene) DO UPDATE SET kind = EXCLUDED.kind,
        store_id = EXCLUDED.store_id, campaign = EXCLUDED.campaign, kol = EXCLUDED.kol,
        page = EXCLUDED.page, ticket = EXCLUDED.ticket, url = EXCLUDED.url,
        expires_at = EXCLUDED.expires_at, closed_at = NULL
    RETURNING {_COLUMNS}
""")

_CLOSE = text("""
    UPDATE geo.wechat_scenes SET closed_at = COALESCE(closed_at, :now)
    WHERE account_id = :account_id AND scene = :scene RETURNING scene
""")


async def find(connection: AsyncConnection, account_id: str, scene: str) -> Scene | None:
    """A scene, a closed one too."""
    rows = await connection.execute(_FIND, {"account_id": account_id, "scene": scene})
    row = rows.mappings().first()
    return None if row is None else _read(row)


async def list_after(
    connection: AsyncConnection, account_id: str, after: str, most: int, **wanted: str | None
) -> list[Scene]:
    """Open scenes by name; ``wanted`` are ``store_id`` and ``campaign``, None for any."""
    values = {"account_id": account_id, "after": after, "most": most, **wanted}
    return [_read(row) for row in (await connection.execute(_LIST, values)).mappings()]


async def write(connection: AsyncConnection, scene: Scene) -> Scene:
    """Store it; a closed one is open again."""
    return _read((await connection.execute(_WRITE, _values(scene))).mappings().one())


async def close(connection: AsyncConnection, account_id: str, scene: str, now: Any) -> bool:
    """False where there is no such scene."""
    values = {"account_id": account_id, "scene": scene, "now": now}
    return await connection.scalar(_CLOSE, values) is not None


def _values(scene: Scene) -> dict[str, Any]:
    return {
        "account_id": scene.account_id,
        "scene": scene.scene,
        "kind": scene.kind.value,
        "store_id": scene.store_id,
        "campaign": scene.campaign,
        "kol": scene.kol,
        "page": scene.page,
        "ticket": scene.made.ticket,
        "url": scene.made.url,
        "expires_at": scene.made.expires_at,
        "created_at": scene.created_at,
        "created_by": scene.created_by,
    }


def _read(row: RowMapping) -> Scene:
    return Scene(
        account_id=row["account_id"],
        scene=row["scene"],
        kind=SceneKind(row["kind"]),
        store_id=row["store_id"],
        campaign=row["campaign"],
        kol=row["kol"],
        page=row["page"],
        made=Made(row["ticket"], row["url"], row["expires_at"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        closed_at=row["closed_at"],
    )

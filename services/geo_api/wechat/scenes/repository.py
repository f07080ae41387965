"""Queries of scenes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Key = tuple[str, str]
"""(account_id, scene)"""

_FIND = text("""
    SELECT s.account_id, s.scene, s.store_id, s.campaign, s.kol
    FROM unnest(CAST(:accounts AS text[]), CAST(:scenes AS text[])) AS asked (account_id, scene)
    JOIN geo.wechat_scenes AS s USING (account_id, scene)
""")


class Origin(NamedTuple):
    """What somebody who came by a scene is owed to; each None where the scene does not say."""

    store_id: str | None
    campaign: str | None
    kol: str | None


async def find_many(connection: AsyncConnection, keys: Iterable[Key]) -> Mapping[Key, Origin]:
    """Those of ``keys`` that are known; also expired ones, for somebody still came by them."""
    asked = sorted(set(keys))
    if not asked:
        return {}
    accounts, scenes = map(list, zip(*asked, strict=True))
    rows = await connection.execute(_FIND, {"accounts": accounts, "scenes": scenes})
    return {
        (row.account_id, row.scene): Origin(row.store_id, row.campaign, row.kol) for row in rows
    }

"""Opening a mini-program by a code with a scene: whom it is owed to, and the invitation to join."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.feeding import tell
from services.geo_api.invitations.service import Lead, ShownInvitation
from services.geo_api.places import repository as places
from services.geo_api.places.domain import Store
from services.geo_api.subjects.domain import SubjectState
from services.geo_api.subjects.service import lock
from services.geo_api.tables import IDEMPOTENCY
from services.geo_api.wechat.accounts.domain import LiveAccount
from services.geo_api.wechat.mini.domain import require_mini_program
from services.geo_api.wechat.mini.joining import keep
from services.geo_api.wechat.scenes.repository import Origin, find_many
from services.geo_api.wechat.tools import WeChatTools
from shared.auth import Principal
from shared.contracts.events import EventType, Lifecycle
from shared.feed.outbox import PreparedEvent, enqueue
from shared.idempotency import StoredAnswer, once
from shared.ids import event_id

_REMEMBERED = timedelta(days=7)
NOWHERE = Origin(None, None, None)


@dataclass(frozen=True, slots=True)
class Scan:
    """``scan_id`` is the app's own: sent again it counts once. ``person`` is the caller's subject."""

    account: LiveAccount
    scan_id: UUID
    scene: str
    caller: Principal
    person: UUID


@dataclass(frozen=True, slots=True)
class Recorded:
    """``store`` is None where the scene names none, or a closed one."""

    store: Store | None
    campaign: str | None
    kol: str | None
    invitation: ShownInvitation | None
    repeated: bool


async def record(tools: WeChatTools, scan: Scan) -> Recorded:
    """Tell the scan once. A scene that is not kept here is told by its name alone.

    Raises KeyReused for an id that came with another scene.
    """
    require_mini_program(scan.account)
    async with tools.database.transaction() as session:
        connection = await session.connection()
        stored = await once(
            session,
            IDEMPOTENCY,
            scope=scan.caller.scope,
            endpoint=f"wechat_scan {scan.account.account_id}",
            key=str(scan.scan_id),
            request=orjson.dumps([scan.scene]),
            ttl=_REMEMBERED,
            now=tools.clock(),
            act=lambda: _tell(connection, tools, scan),
        )
        store = await _store(connection, stored.body["store_id"])
    tools.feed.wake()
    return _shown(tools, scan, stored, store)


async def _tell(
    connection: AsyncConnection, tools: WeChatTools, scan: Scan
) -> tuple[int, Mapping[str, Any]]:
    """What is kept to answer repeats: no token, for the invitation can be signed again."""
    now, key = tools.clock(), (scan.account.account_id, scan.scene)
    states = await lock(connection, tools.keys.identity, [scan.person], now)
    await keep(connection, states)
    origin = (await find_many(connection, [key])).get(key, NOWHERE)
    invited = _may_be_invited(states[scan.person])
    facts = [_scanned(scan, origin, now)]
    if invited:
        facts.append(_invitation_shown(tools, scan, origin, now))
    await enqueue(connection, tools.feed_tables, facts)
    return 201, {**origin._asdict(), "invited": invited, "at": now.isoformat()}


def _scanned(scan: Scan, origin: Origin, now: datetime) -> PreparedEvent:
    touch = {
        "channel": "wechat",
        "account_id": scan.account.account_id,
        "scene": scan.scene,
        "campaign": origin.campaign,
        "kol": origin.kol,
    }
    return tell(
        EventType.SOCIAL_SCANNED,
        scan.person,
        str(scan.scan_id),
        time=now,
        received_at=now,
        store_id=origin.store_id,
        data=touch,
    )


def _invitation_shown(
    tools: WeChatTools, scan: Scan, origin: Origin, now: datetime
) -> PreparedEvent:
    campaign = origin.campaign or tools.inviter.campaign
    return tell(
        EventType.INVITATION_SHOWN,
        scan.person,
        str(scan.scan_id),
        time=now,
        received_at=now,
        store_id=origin.store_id,
        data={"campaign": campaign, "kol": origin.kol, "scan_id": str(scan.scan_id)},
    )


def _may_be_invited(person: SubjectState) -> bool:
    return person.lifecycle is not Lifecycle.MEMBER and not person.refuses_marketing


async def _store(connection: AsyncConnection, store_id: str | None) -> Store | None:
    if store_id is None:
        return None
    store = (await places.stores(connection, [store_id])).get(store_id)
    return store if store and store.closed_at is None else None


def _shown(tools: WeChatTools, scan: Scan, stored: StoredAnswer, store: Store | None) -> Recorded:
    said = stored.body
    invitation = None
    if said["invited"]:
        jti = event_id(scan.person, EventType.INVITATION_SHOWN.value, str(scan.scan_id)).hex
        lead = Lead(jti, said["campaign"], said["kol"])
        at = datetime.fromisoformat(said["at"])
        invitation = tools.inviter.invite(scan.person, said["store_id"], at, lead)
    return Recorded(store, said["campaign"], said["kol"], invitation, stored.repeated)

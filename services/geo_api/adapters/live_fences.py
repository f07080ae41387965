"""The active geofences in this process's memory, following the database.

Truth is the index version, one row that every write of places counts up in its transaction. It
is polled on a connection of its own, which NOTIFY only hastens. Since those transactions commit
one after another, the rows above the version held are exactly what is missing.
"""

import asyncio
import contextlib
import gc
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import asyncpg
import orjson
import structlog
from sqlalchemy import make_url

from services.geo_api.evidence.codes import name_of
from services.geo_api.places.hours import Hours, status
from services.geo_api.places.hours_json import decode_hours, decode_schedule
from services.geo_api.places.repository import CHANNEL
from services.geo_api.presence.matching import Fence, FenceIndex
from shared.connecting import connect
from shared.errors import Unavailable
from shared.geo import Area, Circle, LonLat, Shape

POLL_S = 0.5

_QUERY_TIMEOUT_S = 3.0
_LOAD_TIMEOUT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_ROWS_AT_ONCE = 5_000
_NOTHING_HELD = -1

_VERSION = "SELECT COALESCE((SELECT version FROM geo.fence_index_version WHERE id = 1), 0)"

_CHANGED_STORES = """
    SELECT store_id, name, brand, timezone, tags, hours::text AS hours, code_edition,
        ST_X(location::geometry) AS lon, ST_Y(location::geometry) AS lat,
        closed_at IS NOT NULL AS closed
    FROM geo.stores
    WHERE index_version > $1 AND (closed_at IS NULL OR $1 >= 0)
"""

_CHANGED_GEOFENCES = """
    SELECT g.geofence_id, g.store_id, g.version, g.closed_at IS NOT NULL AS closed, v.radius_m,
        v.schedule::text AS schedule, v.dwell_s,
        ST_X(v.center::geometry) AS lon, ST_Y(v.center::geometry) AS lat,
        ST_AsBinary(v.area) AS area
    FROM geo.geofences AS g
    JOIN geo.geofence_versions AS v ON v.geofence_id = g.geofence_id AND v.version = g.version
    WHERE g.index_version > $1 AND (g.closed_at IS NULL OR $1 >= 0)
"""

_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What deciding needs to know of a store that is not closed for good.

    ``position`` is (longitude, latitude) in WGS 84; ``code_edition`` is that of its printed codes.
    """

    store_id: str
    name: str
    brand: str | None
    timezone: str
    tags: frozenset[str]
    hours: Hours | None = None
    position: tuple[float, float] = (0.0, 0.0)
    code_edition: int = 1

    def is_open(self, at: datetime) -> bool:
        """Whether its opening hours let it be open at ``at``; unknown ones do."""
        return status(self.hours, self.timezone, at).open


@dataclass(frozen=True, slots=True)
class FenceSnapshot:
    """Open stores and their active fences as of one version of the index.

    ``by_name`` finds a store by what stands for it in its codes.
    """

    index: FenceIndex
    stores: Mapping[str, StoreInfo]
    version: int
    by_name: Mapping[bytes, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Changed:
    """What the database has beyond the version held."""

    version: int
    stores: Sequence[Mapping[str, Any]]
    geofences: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class LiveFences:
    """Follows the fences of the database at ``url`` from ``start`` until ``stop``.

    Any moment's ``current`` is whole: a new version replaces it in one step. While the database
    is away the last one stays, and ``age_s`` grows.
    """

    url: str
    poll_s: float = POLL_S
    monotonic: Callable[[], float] = time.monotonic
    _current: FenceSnapshot | None = None
    _confirmed_at: float = -math.inf
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _settling: asyncio.Task[None] | None = None

    @property
    def current(self) -> FenceSnapshot:
        """Raises Unavailable until the fences were read for the first time."""
        if self._current is None:
            raise Unavailable("The geofences are being loaded; send the same request again.")
        return self._current

    @property
    def age_s(self) -> float:
        """Seconds since the database last confirmed that the version held is the present one."""
        return self.monotonic() - self._confirmed_at

    async def start(self, timeout_s: float = 10.0) -> None:
        """Begin to follow, and wait for the first load for at most ``timeout_s``.

        Without a database it goes on trying, and ``age_s`` is infinite until it succeeds.
        """
        self._task = asyncio.create_task(self._run(), name="live_fences")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), timeout_s)

    async def stop(self) -> None:
        tasks = [task for task in (self._task, self._settling) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._task = self._settling = None

    async def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            before = self._confirmed_at
            try:
                async with self._connection() as connection:
                    await self._follow(connection)
            except _AWAY as error:
                _log.warning("fences_not_followed", error=type(error).__name__)
            except Exception:  # noqa: BLE001 - whatever it was, the next connection starts afresh
                _log.exception("fences_not_followed")
            was_there = self._confirmed_at > before
            pause_s = _FIRST_PAUSE_S if was_there else min(2 * pause_s, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection that wakes us at each NOTIFY; dropped at once when it fails."""
        plain = make_url(self.url).set(drivername="postgresql")
        connection = await connect(
            plain.render_as_string(hide_password=False),
            timeout=_QUERY_TIMEOUT_S,
            server_settings={"application_name": "solomo_fences"},
        )
        try:
            await connection.add_listener(CHANNEL, self._wake)
            yield connection
        finally:
            connection.terminate()

    def _wake(self, *_: object) -> None:
        self._woken.set()

    async def _follow(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        while True:
            self._woken.clear()
            started = self.monotonic()
            if await self._refresh(connection):
                # Rest as long as it took, so that a burst of writes is taken in few steps.
                await asyncio.sleep(min(self.monotonic() - started, self.poll_s))
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self.poll_s)
                continue
            if self._settling is None or self._settling.done():
                self._settling = asyncio.create_task(self._settle(), name="live_fences_settle")

    async def _settle(self) -> None:
        """Make the index whole, now that changes pause; one that comes meanwhile goes first."""
        if self._current is None or self._current.index.is_settled:
            return
        index = self._current.index
        whole = await asyncio.to_thread(index.settled)
        if self._current.index is index:
            self._current = replace(self._current, index=whole)

    async def _refresh(self, connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
        """Whether there was a new version, which then is in force."""
        asked_at = self.monotonic()
        version = await connection.fetchval(_VERSION, timeout=_QUERY_TIMEOUT_S)
        held = self._current
        if held is not None and version == held.version:
            self._confirmed_at = asked_at
            return False
        if held is not None and version < held.version:
            held = None  # another database, or an older state of it: begin anew
        asked_at = self.monotonic()
        changed = await _read(connection, _NOTHING_HELD if held is None else held.version)
        self._current = await asyncio.to_thread(_combine, held, changed)
        if held is None:
            gc.freeze()  # what stays is looked through no more, which would halt everything
        self._confirmed_at = asked_at
        self._loaded.set()
        return True


async def _read(connection: "asyncpg.Connection[asyncpg.Record]", held_version: int) -> _Changed:
    """All that is newer than ``held_version``, as of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        version = await connection.fetchval(_VERSION, timeout=_QUERY_TIMEOUT_S)
        stores = await _fetch(connection, _CHANGED_STORES, held_version)
        geofences = await _fetch(connection, _CHANGED_GEOFENCES, held_version)
    return _Changed(version, stores, geofences)


async def _fetch(
    connection: "asyncpg.Connection[asyncpg.Record]", query: str, held_version: int
) -> Sequence[Mapping[str, Any]]:
    """In portions, so that other requests have their turn in between."""
    rows: list[Any] = []
    async with asyncio.timeout(_LOAD_TIMEOUT_S):
        cursor = await connection.cursor(query, held_version)
        while portion := await cursor.fetch(_ROWS_AT_ONCE):
            rows += portion
    return rows


def _combine(held: FenceSnapshot | None, changed: _Changed) -> FenceSnapshot:
    """The next snapshot. What did not change is the same object as before."""
    stores, by_name = _combine_stores(held, changed)
    fences = [_fence(row) for row in changed.geofences if not row["closed"]]
    if held is None:
        index = FenceIndex.build(fences, changed.version)
    elif changed.geofences:
        gone = [row["geofence_id"] for row in changed.geofences if row["closed"]]
        index = held.index.changed(fences, gone, changed.version)
    else:
        index = held.index
    return FenceSnapshot(index, stores, changed.version, by_name)


def _combine_stores(
    held: FenceSnapshot | None, changed: _Changed
) -> tuple[Mapping[str, StoreInfo], Mapping[bytes, str]]:
    """The stores by id, and their ids by what stands for them in codes."""
    if held is not None and not changed.stores:
        return held.stores, held.by_name
    stores = {} if held is None else dict(held.stores)
    by_name = {} if held is None else dict(held.by_name)
    for row in changed.stores:
        store_id = row["store_id"]
        if row["closed"]:
            stores.pop(store_id, None)
            by_name.pop(name_of(store_id), None)
        else:
            stores[store_id] = _store(row)
            by_name[name_of(store_id)] = store_id
    return MappingProxyType(stores), MappingProxyType(by_name)


def _store(row: Mapping[str, Any]) -> StoreInfo:
    hours = row["hours"]
    return StoreInfo(
        row["store_id"],
        row["name"],
        row["brand"],
        row["timezone"],
        frozenset(row["tags"]),
        None if hours is None else decode_hours(orjson.loads(hours)),
        (row["lon"], row["lat"]),
        row["code_edition"],
    )


def _fence(row: Mapping[str, Any]) -> Fence:
    shape: Shape
    if row["area"] is None:
        shape = Circle(LonLat(row["lon"], row["lat"]), row["radius_m"])
    else:
        shape = Area.of_wkb(row["area"])
    schedule = row["schedule"]
    return Fence(
        row["geofence_id"],
        row["store_id"],
        row["version"],
        shape,
        None if schedule is None else decode_schedule(orjson.loads(schedule)),
        tuple(row["dwell_s"]),
    )

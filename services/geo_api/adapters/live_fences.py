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
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType

import asyncpg
import structlog
from sqlalchemy import make_url

from services.geo_api.adapters.fence_rows import (
    QUERY_TIMEOUT_S,
    VERSION,
    Changed,
    StoreInfo,
    read_changed,
)
from services.geo_api.evidence.codes import name_of
from services.geo_api.places.repository import CHANNEL
from services.geo_api.presence.matching import Fence, FenceIndex
from shared.connecting import connect
from shared.errors import Unavailable
from shared.geo import Area

__all__ = ["POLL_S", "FenceSnapshot", "LiveFences", "StoreInfo"]

POLL_S = 0.5

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_SIZED_AT_ONCE = 50
"""Outlines that are worked out in some 5 ms."""
_NOTHING_HELD = -1

_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FenceSnapshot:
    """Open stores and their active fences as of one version of the index.

    ``by_name`` finds a store by what stands for it in its codes.
    """

    index: FenceIndex
    stores: Mapping[str, StoreInfo]
    version: int
    by_name: Mapping[bytes, str] = field(default_factory=dict)


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
    _sizing: asyncio.Task[None] | None = None
    _unsized: asyncio.Queue[Sequence[Fence]] = field(default_factory=asyncio.Queue)

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
        self._sizing = asyncio.create_task(self._size(), name="live_fences_size")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), timeout_s)

    async def stop(self) -> None:
        every = self._task, self._settling, self._sizing
        tasks = [task for task in every if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._task = self._settling = self._sizing = None

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
            timeout=QUERY_TIMEOUT_S,
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

    async def _size(self) -> None:
        """Work out beforehand how large new outlines are: a check-in would wait 0.2 ms for each."""
        while True:
            await self._work_out(await self._unsized.get())

    async def _work_out(self, fences: Iterable[Fence]) -> None:
        """Half of the time is left to others."""
        outlines = (fence.shape for fence in fences if isinstance(fence.shape, Area))
        more = True
        while more:
            started = self.monotonic()
            more = await asyncio.to_thread(_work_out_some, outlines)
            await asyncio.sleep(self.monotonic() - started)

    async def _refresh(self, connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
        """Whether there was a new version, which then is in force."""
        asked_at = self.monotonic()
        version = await connection.fetchval(VERSION, timeout=QUERY_TIMEOUT_S)
        held = self._current
        if held is not None and version == held.version:
            self._confirmed_at = asked_at
            return False
        if held is not None and version < held.version:
            held = None  # another database, or an older state of it: begin anew
        asked_at = self.monotonic()
        changed = await read_changed(connection, _NOTHING_HELD if held is None else held.version)
        self._current = await asyncio.to_thread(_combine, held, changed)
        self._unsized.put_nowait(changed.fences)
        if held is None:
            gc.freeze()  # what stays is looked through no more, which would halt everything
        self._confirmed_at = asked_at
        self._loaded.set()
        return True


def _work_out_some(outlines: Iterator[Area]) -> bool:
    """What each then keeps; whether there may be more."""
    sizes = [outline.inradius_m for outline in islice(outlines, _SIZED_AT_ONCE)]
    return len(sizes) == _SIZED_AT_ONCE


def _combine(held: FenceSnapshot | None, changed: Changed) -> FenceSnapshot:
    """The next snapshot. What did not change is the same object as before."""
    stores, by_name = _combine_stores(held, changed)
    if held is None:
        index = FenceIndex.build(changed.fences, changed.version)
    elif changed.fences or changed.gone:
        index = held.index.changed(changed.fences, changed.gone, changed.version)
    else:
        index = held.index
    return FenceSnapshot(index, stores, changed.version, by_name)


def _combine_stores(
    held: FenceSnapshot | None, changed: Changed
) -> tuple[Mapping[str, StoreInfo], Mapping[bytes, str]]:
    """The stores by id, and their ids by what stands for them in codes."""
    if held is not None and not changed.stores and not changed.closed:
        return held.stores, held.by_name
    stores = {} if held is None else dict(held.stores)
    by_name = {} if held is None else dict(held.by_name)
    for store_id in changed.closed:
        stores.pop(store_id, None)
        by_name.pop(name_of(store_id), None)
    for store in changed.stores:
        stores[store.store_id] = store
        by_name[name_of(store.store_id)] = store.store_id
    return MappingProxyType(stores), MappingProxyType(by_name)

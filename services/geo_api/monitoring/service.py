"""The nearest geofences for a phone, from the fences that this process holds in memory."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.geo_api.monitoring.circles import Nearest, Regions
from services.geo_api.presence.matching import Fence
from shared.geo import LonLat


class Index(Protocol):
    @property
    def fences(self) -> Sequence[Fence]: ...


class Snapshot(Protocol):
    @property
    def index(self) -> Index: ...


class Fences(Protocol):
    """The fences of the moment; raises Unavailable while there are none yet."""

    @property
    def current(self) -> Snapshot: ...


@dataclass(slots=True)
class Monitor:
    """Answers for ``fences``; the circles are worked out once for each version of the index.

    While that is done, those of the version before answer: nobody waits but the very first.
    """

    fences: Fences
    _of: Index | None = None
    _regions: Regions | None = None
    _building: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def nearest(self, here: LonLat, most: int, at: datetime) -> Nearest:
        """The ``most`` nearest to ``here`` (WGS 84). Raises Unavailable before the first load."""
        regions = await self._present()
        return await asyncio.to_thread(regions.nearest, here, most, at.timestamp())

    async def _present(self) -> Regions:
        if self._regions is not None and self._building.locked():
            return self._regions
        async with self._building:
            index = self.fences.current.index
            if self._regions is None or self._of is not index:
                built = await asyncio.to_thread(Regions.build, index.fences, self._regions)
                self._of, self._regions = index, built
            return self._regions


def etag(nearest: Nearest) -> str:
    """Weak, since the distance to move is no part of it: it changes only if the list does."""
    listed = "\n".join(f"{region.geofence_id} {region.version}" for region in nearest.regions)
    return f'W/"{hashlib.sha256(listed.encode()).hexdigest()[:32]}"'

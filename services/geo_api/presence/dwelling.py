"""After how long a stay is a dwell: the thresholds of a store's geofences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.geo_api.places.schedules import in_force
from services.geo_api.presence.fences import Fence
from services.geo_api.presence.matching import FenceIndex
from services.geo_api.presence.verdict import Zoned


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which thresholds a stay has reached, by the geofences of one moment.

    A store's thresholds are those of all its geofences; one counts if its geofence is in force
    when the stay reaches it, so that the answer is a function of the stay alone.
    """

    index: FenceIndex
    stores: Mapping[str, Zoned]

    def reached(
        self, store_id: str, entered_at: datetime, last_inside_at: datetime
    ) -> Sequence[int]:
        """Seconds, ascending, each once."""
        fences = [fence for fence in self.index.of_store(store_id) if fence.dwell_s]
        if not fences:
            return ()
        lasted_s = (last_inside_at - entered_at).total_seconds()
        return sorted(
            {
                dwell_s
                for fence in fences
                for dwell_s in fence.dwell_s
                if dwell_s <= lasted_s
                and self._counts(fence, entered_at + timedelta(seconds=dwell_s))
            }
        )

    def _counts(self, fence: Fence, at: datetime) -> bool:
        if fence.schedule is None:
            return True
        store = self.stores.get(fence.store_id)
        return in_force(fence.schedule, store.timezone if store else "UTC", at)

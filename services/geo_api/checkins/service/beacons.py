"""From what beacons send to the stores at which they stand: one look-up for a group."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.domain import CheckIn
from services.geo_api.evidence import repository
from services.geo_api.evidence.domain import Evidence, Proof, unheard_of


async def located(connection: AsyncConnection, check_ins: Sequence[CheckIn]) -> Sequence[CheckIn]:
    """The same check-ins, those by beacon with the store that it proves, or refused."""
    sightings = {c.sighting for c in check_ins if c.sighting is not None}
    if not sightings:
        return check_ins
    stores = await repository.stores_of(connection, [*sightings])
    return [c if c.sighting is None else _proven(c, stores.get(c.sighting)) for c in check_ins]


def _proven(check_in: CheckIn, store_id: str | None) -> CheckIn:
    if store_id is None:
        return check_in._replace(overdue=check_in.overdue or unheard_of())
    return check_in._replace(proof=Proof(store_id, Evidence.BEACON))

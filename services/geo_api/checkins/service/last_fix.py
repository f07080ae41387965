"""Where a subject was seen last: kept with the subject, sealed as long as exact places live.

In WGS 84 and with its accuracy, so that the next check-in needs no datum and no second look at
the table of check-ins. The key is that of the day of receipt: destroying it deletes this, too.
"""

import orjson
from cryptography.exceptions import InvalidTag

from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.service.exact import DayKeys, exact_context
from services.geo_api.presence.crossing import Placed
from services.geo_api.presence.matching import Fix
from services.geo_api.subjects.domain import LastSeen, SubjectState
from shared.sealing import StorageKey

_CONTEXT = b"last fix"


def placed(check_in: CheckIn) -> Placed:
    position = check_in.position
    return Placed(Fix(position.lon, position.lat, check_in.accuracy_m), check_in.occurred_at)


def seal_last(check_in: CheckIn, key: StorageKey) -> LastSeen:
    """``[longitude, latitude, accuracy_m]`` in WGS 84; bound to its check-in."""
    plain = orjson.dumps([*placed(check_in).spot])
    sealed = key.encrypt(plain, _CONTEXT + exact_context(check_in.subject_id, check_in.check_in_id))
    return LastSeen(check_in.check_in_id, check_in.received_at.date(), sealed)


async def last_fix(state: SubjectState, day_keys: DayKeys) -> Placed | None:
    """The subject's latest fix; None if there was none or its day's key was destroyed."""
    last = state.last
    if last is None or state.last_occurred_at is None:
        return None
    key = await day_keys.find(last.day)
    if key is None:
        return None
    context = _CONTEXT + exact_context(state.subject_id, last.check_in_id)
    try:
        lon, lat, accuracy_m = orjson.loads(key.decrypt(last.exact, context))
    except InvalidTag:
        return None
    return Placed(Fix(lon, lat, accuracy_m), state.last_occurred_at)

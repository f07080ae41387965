"""Where a subject was seen last: kept with the subject, sealed as long as exact places live.

In WGS 84 and with its accuracy, so that the next check-in needs no datum and no second look at
the table of check-ins. The key is that of the day of receipt: destroying it deletes this, too.
"""

from datetime import UTC, datetime

import orjson
from cryptography.exceptions import InvalidTag

from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.service.exact import DayKeys, exact_context
from services.geo_api.evidence.domain import LocationGrade
from services.geo_api.presence.crossing import Placed
from services.geo_api.presence.matching import Fix
from services.geo_api.subjects.domain import LastSeen, SubjectState
from shared.sealing import StorageKey

_CONTEXT = b"last fix"


def placed(check_in: CheckIn) -> Placed | None:
    """Where it was; None without coordinates, or with a place that was chosen or blurred."""
    if check_in.fix is None or check_in.grade is not LocationGrade.PRECISE:
        return None
    return Placed(check_in.fix, check_in.occurred_at)


def seal_last(check_in: CheckIn, key: StorageKey) -> LastSeen | None:
    """``[longitude, latitude, accuracy_m, seconds since 1970]`` in WGS 84; bound to its check-in.

    With its own time, for a later check-in may have no place. None without one.
    """
    here = placed(check_in)
    if here is None:
        return None
    plain = orjson.dumps([*here.spot, here.at.timestamp()])
    sealed = key.encrypt(plain, _CONTEXT + exact_context(check_in.subject_id, check_in.check_in_id))
    return LastSeen(check_in.check_in_id, check_in.received_at.date(), sealed)


async def last_fix(state: SubjectState, day_keys: DayKeys) -> Placed | None:
    """The subject's latest fix; None if there was none or its day's key was destroyed."""
    if state.last is None:
        return None
    return open_last(state, await day_keys.find(state.last.day))


def open_last(state: SubjectState, key: StorageKey | None) -> Placed | None:
    """``last_fix`` with the key of its day at hand."""
    last = state.last
    if last is None or key is None:
        return None
    context = _CONTEXT + exact_context(state.subject_id, last.check_in_id)
    try:
        lon, lat, accuracy_m, seconds = orjson.loads(key.decrypt(last.exact, context))
    except InvalidTag:
        return None
    return Placed(Fix(lon, lat, accuracy_m), datetime.fromtimestamp(seconds, UTC))

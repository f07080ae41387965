"""Where a subject was seen last: kept with the subject, sealed as long as exact places live.

It is a copy of what its check-in keeps, so that the next one needs no second look at the table of
check-ins. The key is that of the day of receipt: destroying it deletes this, too.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag

from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.service.exact import DayKeys, open_exact
from services.geo_api.evidence.domain import LocationGrade
from services.geo_api.presence.crossing import Placed
from services.geo_api.presence.matching import Fix
from services.geo_api.subjects.domain import LastSeen, SubjectState
from shared.sealing import StorageKey


def placed(check_in: CheckIn) -> Placed | None:
    """Where it was; None without coordinates, or with a place that was chosen or blurred."""
    if check_in.fix is None or check_in.grade is not LocationGrade.PRECISE:
        return None
    return Placed(check_in.fix, check_in.occurred_at)


def last_seen(check_in: CheckIn, exact: bytes | None) -> LastSeen | None:
    """``exact`` is its sealed place. None if it has none that a next fix could be measured from."""
    if exact is None or placed(check_in) is None:
        return None
    return LastSeen(check_in.check_in_id, check_in.received_at.date(), exact)


async def last_fixes(states: Iterable[SubjectState], day_keys: DayKeys) -> dict[UUID, Placed]:
    """Each subject's latest fix, without those who have none or whose day's key was destroyed."""
    known = [(state.subject_id, state.last) for state in states if state.last is not None]
    keys = {day: await day_keys.find(day) for day in {last.day for _, last in known}}
    opened = ((subject, _open(subject, last, keys[last.day])) for subject, last in known)
    return {subject: placed for subject, placed in opened if placed is not None}


def _open(subject_id: UUID, last: LastSeen, key: StorageKey | None) -> Placed | None:
    if key is None:
        return None
    try:
        place = open_exact(last.exact, key, subject_id, last.check_in_id)
    except InvalidTag:
        return None
    at = datetime.fromtimestamp(place.occurred_s, UTC)
    return Placed(Fix(place.lon, place.lat, place.accuracy_m), at)

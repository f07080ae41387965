"""Going through the visits around a closing once more, now that all of their time have been written.

The transaction that closes a place ends the visits that it sees open. A check-in that is being
decided meanwhile sees neither the other; a device whose clock is ahead was there later than its
place closed. Both are rare, and made right here.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins import repository
from services.geo_api.checkins.domain import MAX_AHEAD
from services.geo_api.checkins.service.outcome import Tools
from services.geo_api.checkins.service.stays import settled
from services.geo_api.checkins.service.tracks import Known, Tracks, load_past, made
from services.geo_api.presence import closing_rows
from services.geo_api.presence import repository as presence
from services.geo_api.presence.domain import Change, Closing
from services.geo_api.presence.events import visit_events
from services.geo_api.subjects import repository as subjects
from shared.direct import run_together
from shared.feed.outbox import enqueue

SETTLES_AFTER = timedelta(minutes=1)
"""No transaction lasts so long."""


async def settle_closings(
    connection: AsyncConnection, tools: Tools, now: datetime, most: int = 100
) -> int:
    """Go through the visits around closings of a minute ago and earlier; gives how many closings.

    Each is done once.
    """
    closings = await closing_rows.unsettled(connection, now - SETTLES_AFTER, most)
    for closing in closings:
        whose = await repository.concerned(connection, closing)
        if whose:
            await _go_through(connection, tools, whose, closing, now)
        await closing_rows.settle(connection, closing)
    return len(closings)


async def _go_through(
    connection: AsyncConnection,
    tools: Tools,
    whose: Iterable[UUID],
    closing: Closing,
    now: datetime,
) -> None:
    """Under the locks that check-ins take, fold each subject's episode of that time again."""
    states = await subjects.lock(connection, whose, now)
    # One that was erased meanwhile has no row any more, and shall get none.
    await subjects.forget(connection, [s for s, state in states.items() if state.is_new])
    going_on = await presence.going_on(connection, list(states))
    tracks = made(tools, states.values(), Known(going_on))
    await load_past(connection, dict.fromkeys(tracks, closing.at), tracks)
    moment = closing.at + MAX_AHEAD if closing.is_for_good else closing.at
    changes = [
        change
        for track in tracks.values()
        if track.fixes
        for change in track.go_through(moment, tools.new_id)
    ]
    ends = {subject: track.stays.ended_until for subject, track in tracks.items()}
    await subjects.note_ends(connection, {s: at for s, at in ends.items() if at is not None})
    await _write(connection, tracks, changes)
    await enqueue(connection, tools.feed_tables, list(visit_events(changes, now)))


async def _write(connection: AsyncConnection, tracks: Tracks, changes: Iterable[Change]) -> None:
    visits = settled(changes)
    aliases = [
        (subject, former, present)
        for subject, track in tracks.items()
        for former, present in track.aliases.items()
    ]
    await run_together(
        connection,
        [
            *presence.beginning(visits.begun),
            *presence.changing(visits.changed),
            *presence.removing(visits.gone),
            *presence.naming(aliases),
        ],
    )

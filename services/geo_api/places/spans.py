"""Times of day that come again: spans of a week in a place's own zone, and the moments they are.

A span belongs to the day on which it begins, also where it ends after midnight. Days and minutes
are those of a clock on the wall; a moment is UTC. Where the clock jumps ahead, a time that it
leaves out is the moment of the jump. Where it is put back, a span begins at the first and ends at
the second of the two moments that bear the same time, so that no reading of the sign on the door
finds it shut too early.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MINUTES_A_DAY = 1_440

_TEXT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """In minutes since midnight; ``closes`` past 1,440 lies in the next day."""

    opens: int
    closes: int

    def __str__(self) -> str:
        """As on the wire: ``22:00-02:00``."""
        after_midnight = self.closes > MINUTES_A_DAY
        closes = self.closes - MINUTES_A_DAY if after_midnight else self.closes
        return f"{self.opens // 60:02}:{self.opens % 60:02}-{closes // 60:02}:{closes % 60:02}"


Day = tuple[Span, ...]
"""The spans that begin on a day, in order; none: closed."""

Week = tuple[Day, ...]
"""Seven days, Monday first."""

WHOLE_DAY: Day = (Span(0, MINUTES_A_DAY),)

SpansOf = Callable[[date], Day]


def read_span(text: str) -> Span:
    """``09:00-12:30``, or past midnight ``22:00-02:00``; a day ends at 24:00. Raises ValueError."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError("must be a span such as 09:00-18:00, 22:00-02:00 or 00:00-24:00")
    opens = 60 * int(found[1]) + int(found[2])
    closes = MINUTES_A_DAY if found[3] is None else 60 * int(found[3]) + int(found[4])
    if opens == closes:
        raise ValueError("ends when it begins: write 00:00-24:00 for a whole day")
    return Span(opens, closes if closes > opens else closes + MINUTES_A_DAY)


def read_day(texts: Sequence[str]) -> Day:
    """Spans in order. Raises ValueError where two overlap."""
    spans = sorted(map(read_span, texts))
    for earlier, later in pairwise(spans):
        if later.opens < earlier.closes:
            raise ValueError(f"{earlier} and {later} overlap")
    return tuple(spans)


def local_day(zone: str, at: datetime) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def day_open_at(spans_of: SpansOf, zone: str, at: datetime) -> date | None:
    """The day to which the span around ``at`` belongs, its first moment included; None: closed.

    Today's spans come before yesterday's, which reach past midnight. Tomorrow's matter where a
    clock is put back across midnight.
    """
    today = local_day(zone, at)
    for day in (today, today - _DAY, today + _DAY):
        for span in spans_of(day):
            opens, closes = moments(span, day, zone)
            if opens <= at < closes:
                return day
    return None


def openings(
    spans_of: SpansOf, zone: str, first: date, days: int
) -> Iterator[tuple[datetime, datetime]]:
    """The times that are covered, in order, from spans of ``days`` days; what touches is one."""
    held: tuple[datetime, datetime] | None = None
    for number in range(days):
        day = first + number * _DAY
        for span in spans_of(day):
            opens, closes = moments(span, day, zone)
            if opens >= closes:
                continue  # the clock jumped over all of it
            if held is not None and opens <= held[1]:
                held = held[0], max(held[1], closes)
                continue
            if held is not None:
                yield held
            held = opens, closes
    if held is not None:
        yield held


def moments(span: Span, day: date, zone: str) -> tuple[datetime, datetime]:
    """When a span of ``day`` begins and ends, in UTC."""
    return _moment(day, span.opens, zone, last=False), _moment(day, span.closes, zone, last=True)


def _moment(day: date, minutes: int, zone: str, *, last: bool) -> datetime:
    """The moment at which the wall shows a time; the ``last`` one where it does so twice."""
    shown = datetime.combine(day, time()) + timedelta(minutes=minutes)
    there = ZoneInfo(zone)
    moment = shown.replace(tzinfo=there, fold=int(last)).astimezone(UTC)
    if moment.astimezone(there).replace(tzinfo=None) == shown:
        return moment
    return _jump(shown, there)


def _jump(left_out: datetime, there: ZoneInfo) -> datetime:
    """The moment at which the clock leaves out a time, to the second."""
    before = left_out.replace(tzinfo=there, fold=1).astimezone(UTC)
    after = left_out.replace(tzinfo=there, fold=0).astimezone(UTC)
    early = before.astimezone(there).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(there).utcoffset() == early:
            before = middle
        else:
            after = middle
    return after

"""The days of two people of GeoLife at ten places, by any rule, through the index and the fold.

Run as a module it prints what the default rule changes, as ``docs/presence.md`` shows it.
"""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from services.geo_api.presence.domain import ClosedBy, Fix, Visit, VisitState
from services.geo_api.presence.dwelling import Thresholds
from services.geo_api.presence.folding import Stays, fold
from services.geo_api.presence.matching import Fence, FenceIndex
from services.geo_api.presence.matching import Fix as Position
from services.geo_api.presence.rule import DEFAULT_RULE, PLAIN_RULE, ArrivalRule
from services.geo_api.presence.verdict import Sighting, judge
from shared.geo import Circle, LonLat

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
TRACKS, EXPECTED = "geolife_beijing_2users.csv.gz", "expected.json"
DWELL_S = 300
GNSS_ACCURACY_M = 10.0
"""GeoLife tells no accuracy; this is the mean of GNSS fixes that Baidu's documentation names."""

_AT_ONCE = 50_000


class Row(NamedTuple):
    device: str
    at: datetime
    lon: float
    lat: float


@dataclass(frozen=True)
class Counts:
    """What ``expected.json`` states of a place."""

    enter: int
    closed_by_exit: int
    closed_by_gap: int
    open_at_end: int
    dwell_300s: int
    devices: int
    total_inside_s: int


def read(path: Path) -> list[Row]:
    with gzip.open(path, "rt") as file:
        return [
            Row(
                row["uid"],
                datetime.fromisoformat(row["utc_time"]),
                float(row["lon"]),
                float(row["lat"]),
            )
            for row in csv.DictReader(file)
        ]


def index_of(places: Sequence[dict[str, Any]]) -> FenceIndex:
    fences = [
        Fence(
            str(place["place"]),
            str(place["place"]),
            1,
            Circle(LonLat(place["lon"], place["lat"]), place["radius_m"]),
            dwell_s=(DWELL_S,),
        )
        for place in places
    ]
    return FenceIndex.build(fences, 1)


def fixes(
    rows: Sequence[Row], index: FenceIndex, rule: ArrivalRule, accuracy_m: float
) -> Iterator[tuple[str, Fix]]:
    for start in range(0, len(rows), _AT_ONCE):
        portion = rows[start : start + _AT_ONCE]
        found = index.match([Position(row.lon, row.lat, accuracy_m) for row in portion])
        for number, (row, matches) in enumerate(zip(portion, found, strict=True), start):
            verdict = judge(matches, Sighting(accuracy_m, row.at), {}, rule)
            stores = verdict.arrives, verdict.tentative, verdict.uncertain
            yield row.device, Fix(UUID(int=number), row.at, row.at, *stores)


def visits(
    rows: Sequence[Row], index: FenceIndex, rule: ArrivalRule, accuracy_m: float
) -> dict[str, list[Visit]]:
    """By device; of fixes of one moment the first one counts, as ``expected.json`` says."""
    thresholds = Thresholds(index, {})
    found: dict[str, list[Visit]] = {}
    for device, own in groupby(fixes(rows, index, rule, accuracy_m), key=lambda pair: pair[0]):
        moments: dict[datetime, Fix] = {}
        for _, fix in own:
            moments.setdefault(fix.occurred_at, fix)
        subject = UUID(int=int(device))
        stays = Stays(subject, {}, None, rule=rule, dwelled=thresholds.reached)
        new_id = iter(map(UUID, (f"{number:032x}" for number in range(1_000_000)))).__next__
        found[device] = fold(moments.values(), stays, new_id)
    return found


def count(by_device: dict[str, list[Visit]], place: str) -> Counts:
    own = {
        device: [visit for visit in of_device if visit.store_id == place]
        for device, of_device in by_device.items()
    }
    flat = [visit for of_device in own.values() for visit in of_device]
    inside = sum((visit.last_inside_at - visit.entered_at for visit in flat), timedelta())
    return Counts(
        enter=len(flat),
        closed_by_exit=sum(visit.closed_by is ClosedBy.LEFT for visit in flat),
        closed_by_gap=sum(visit.closed_by is ClosedBy.GAP for visit in flat),
        open_at_end=sum(visit.state is VisitState.OPEN for visit in flat),
        dwell_300s=sum(DWELL_S in visit.dwelled for visit in flat),
        devices=sum(bool(of_device) for of_device in own.values()),
        total_inside_s=int(inside.total_seconds()),
    )


def flaps(by_device: dict[str, list[Visit]], place: str, within: timedelta) -> int:
    """Visits that begin at most ``within`` after the same device left the same place."""
    total = 0
    for of_device in by_device.values():
        own = sorted((v for v in of_device if v.store_id == place), key=lambda v: v.entered_at)
        for before, after in pairwise(own):
            total += after.entered_at - before.last_inside_at <= within
    return total


def main() -> None:
    expected = json.loads((SHARED / EXPECTED).read_text())["geolife_2users"]["places"]
    rows, index = read(SHARED / TRACKS), index_of(expected)
    plain = visits(rows, index, PLAIN_RULE, 0.0)
    default = visits(rows, index, DEFAULT_RULE, GNSS_ACCURACY_M)
    minute = timedelta(minutes=1)
    print("| place | visits | back within 60 s | dwells of 300 s | inside, s |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for place in (str(each["place"]) for each in expected):
        a, b = count(plain, place), count(default, place)
        back = f"{flaps(plain, place, minute)} → {flaps(default, place, minute)}"
        dwells = f"{a.dwell_300s} → {b.dwell_300s}"
        line = f"| {place} | {a.enter} → {b.enter} | {back} | {dwells}"
        print(f"{line} | {a.total_inside_s} → {b.total_inside_s} |")  # noqa: T201


if __name__ == "__main__":
    main()

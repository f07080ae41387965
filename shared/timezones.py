"""The time zone of a place, and the outline of a zone, without asking anybody.

The package timezonefinder carries the outlines of OpenStreetMap (timezone-boundary-builder);
they are mapped from its files, not read into memory.
"""

import threading

import numpy as np
import timezonefinder
from shapely import Polygon

_asking = threading.Lock()
"""Before its release 9.2 the package forbids two threads to ask at once."""
_opened: list[timezonefinder.TimezoneFinder] = []


def zone_of(lon: float, lat: float) -> str | None:
    """The IANA name of the time zone at a WGS 84 position in degrees, if one is known.

    Territorial waters belong to their coast; the high seas have zones such as ``Etc/GMT-8``.
    Xinjiang is ``Asia/Urumqi``, the time of its people; who keeps Beijing's there names that.

    Raises ValueError for what is no position.
    """
    with _asking:
        return _finder().timezone_at(lng=lon, lat=lat)


def outlines_of(zone: str) -> list[Polygon]:
    """The outlines of a time zone, in degrees on WGS 84. Raises ValueError for an unknown name."""
    with _asking:
        polygons = _finder().get_geometry(tz_name=zone)
    return [
        Polygon(np.column_stack(outer), [np.column_stack(hole) for hole in holes])
        for outer, *holes in polygons
    ]


def _finder() -> timezonefinder.TimezoneFinder:
    """Opened when first needed, in a tenth of a second."""
    if not _opened:
        _opened.append(timezonefinder.TimezoneFinder())
    return _opened[0]

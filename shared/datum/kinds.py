"""The names that a message may give to its coordinates, and where they differ."""

from enum import StrEnum


class Datum(StrEnum):
    """The coordinate system of a pair: WGS 84, China's GCJ-02, or Baidu's BD-09."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"


class ShiftZone(StrEnum):
    """Where a pair lies to the zone in which maps shift positions.

    ``AMBIGUOUS`` is so near the zone's edge, on either side, that the shift itself may have
    carried the pair across.
    """

    INSIDE = "inside"
    OUTSIDE = "outside"
    AMBIGUOUS = "ambiguous"

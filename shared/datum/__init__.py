"""The coordinate systems of Chinese maps, converted at the rim; inside there is WGS 84 only.

GCJ-02 shifts positions in mainland China, Hong Kong and Macau by up to 700 m, BD-09 is Baidu's
further shift of it. Elsewhere both are WGS 84 unchanged: that is what maps and phones give there,
so the conversion is the identity outside of the zone.

The rule, for a pair in GCJ-02 or BD-09: it is converted if, taken as it stands, it lies in the
zone, else kept. Near the zone's edge that may be wrong, since the shift itself may have carried
the pair across; there it is called ambiguous, and ``alternatives`` has the other readings.
"""

from shared.datum.conversion import (
    Conversion,
    alternatives,
    convert,
    from_wgs84,
    to_wgs84,
    to_wgs84_as_at,
    to_wgs84_columns,
)
from shared.datum.formulas import ONE
from shared.datum.kinds import Datum, ShiftZone
from shared.datum.zone import in_gcj_zone, zone_of_shift

wgs84_to_gcj02 = ONE.wgs84_to_gcj02
gcj02_to_wgs84 = ONE.gcj02_to_wgs84
gcj02_to_bd09 = ONE.gcj02_to_bd09
bd09_to_gcj02 = ONE.bd09_to_gcj02
bd09_to_gcj02_closed_form = ONE.bd09_to_gcj02_closed_form

__all__ = [
    "Conversion",
    "Datum",
    "ShiftZone",
    "alternatives",
    "bd09_to_gcj02",
    "bd09_to_gcj02_closed_form",
    "convert",
    "from_wgs84",
    "gcj02_to_bd09",
    "gcj02_to_wgs84",
    "in_gcj_zone",
    "to_wgs84",
    "to_wgs84_as_at",
    "to_wgs84_columns",
    "wgs84_to_gcj02",
    "zone_of_shift",
]

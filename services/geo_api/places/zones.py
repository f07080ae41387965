"""The time zone of a store that names none."""

from shared.errors import FieldFault, Malformed
from shared.lonlat import LonLat
from shared.timezones import zone_of


def zone_at(position: LonLat) -> str:
    """The IANA name of the time zone at a WGS 84 position. Raises Malformed where none is known."""
    zone = zone_of(position.lon, position.lat)
    if zone is None:
        detail = "is needed: no time zone is known at this position"
        raise Malformed(FieldFault("/timezone", detail))
    return zone

"""A received pair as WGS 84: one, many, an outline's, with its explanation or its alternatives."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from shared.datum.formulas import COLUMNS, ONE, Floats, Formulas, Real
from shared.datum.kinds import Datum, ShiftZone
from shared.datum.zone import are_in_gcj_zone, edge_distance_m, in_gcj_zone, zone_of_shift
from shared.lonlat import LonLat, distance_m


def to_wgs84(lon: float, lat: float, datum: Datum) -> LonLat:
    """A received pair in degrees as WGS 84, within 1e-9° of the exact inverse.

    Converted if the pair as it stands lies in the zone, else kept.
    """
    if datum is Datum.WGS84 or not in_gcj_zone(lon, lat):
        return LonLat(lon, lat)
    return LonLat(*_shifted_back(ONE, lon, lat, datum))


def from_wgs84(lon: float, lat: float, datum: Datum) -> LonLat:
    """The pair, in degrees, that a map of this datum shows for a WGS 84 position."""
    if datum is Datum.WGS84 or not in_gcj_zone(lon, lat):
        return LonLat(lon, lat)
    lon, lat = ONE.wgs84_to_gcj02(lon, lat)
    if datum is Datum.BD09:
        lon, lat = ONE.gcj02_to_bd09(lon, lat)
    return LonLat(lon, lat)


def to_wgs84_columns(lons: ArrayLike, lats: ArrayLike, datum: Datum) -> tuple[Floats, Floats]:
    """Received pairs in degrees as WGS 84, each by the rule of ``to_wgs84`` and within 1e-9° of it.

    The columns given are left as they are.
    """
    converted = np.array(lons, dtype=np.float64), np.array(lats, dtype=np.float64)
    if datum is not Datum.WGS84:
        shifted = are_in_gcj_zone(*converted)
        back = _shifted_back(COLUMNS, converted[0][shifted], converted[1][shifted], datum)
        converted[0][shifted], converted[1][shifted] = back
    return converted


def to_wgs84_as_at(lon: float, lat: float, datum: Datum) -> Callable[[float, float], LonLat]:
    """The conversion of all pairs of one thing, decided by one of them.

    An outline across the zone's edge would be torn if each of its vertices were asked by itself.
    """
    if datum is Datum.WGS84 or not in_gcj_zone(lon, lat):
        return LonLat
    return lambda lon, lat: LonLat(*_shifted_back(ONE, lon, lat, datum))


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was made of a received pair, and why.

    ``zone`` and ``edge_m`` are None for a pair in WGS 84, where nothing is asked; ``edge_m`` also
    where the zone's edge is too far to matter.
    """

    datum: Datum
    position: LonLat
    zone: ShiftZone | None
    converted: bool
    moved_m: float
    edge_m: float | None

    def as_record(self) -> dict[str, Any]:
        """For an explanation: whole metres, and no coordinate."""
        return {
            "datum": self.datum.value,
            "zone": None if self.zone is None else self.zone.value,
            "converted": self.converted,
            "moved_m": round(self.moved_m),
            "edge_m": None if self.edge_m is None else round(self.edge_m),
        }


def convert(lon: float, lat: float, datum: Datum) -> Conversion:
    """``to_wgs84`` with its explanation."""
    position = to_wgs84(lon, lat, datum)
    if datum is Datum.WGS84:
        return Conversion(datum, position, None, converted=False, moved_m=0.0, edge_m=None)
    edge_m = edge_distance_m(lon, lat)
    return Conversion(
        datum=datum,
        position=position,
        zone=zone_of_shift(lon, lat, datum),
        converted=position != LonLat(lon, lat),
        moved_m=distance_m(LonLat(lon, lat), position),
        edge_m=None if math.isinf(edge_m) else edge_m,
    )


def alternatives(lon: float, lat: float, datum: Datum) -> list[tuple[Datum, LonLat]]:
    """Where a received pair would lie in WGS 84, had it really been in another datum.

    In the order of ``Datum``, without the reading that ``to_wgs84`` takes. Empty outside the zone,
    where all readings are one; near its edge, on both sides, it names the shifted readings too,
    that of the declared datum included if it was not taken.
    """
    readings = [(Datum.WGS84, LonLat(lon, lat))]
    readings += [
        (shifted, LonLat(*_shifted_back(ONE, lon, lat, shifted)))
        for shifted in (Datum.GCJ02, Datum.BD09)
        if zone_of_shift(lon, lat, shifted) is not ShiftZone.OUTSIDE
    ]
    taken = to_wgs84(lon, lat, datum)
    return [reading for reading in readings if reading[1] != taken]


def _shifted_back(
    formulas: Formulas[Real], lon: Real, lat: Real, datum: Datum
) -> tuple[Real, Real]:
    if datum is Datum.BD09:
        lon, lat = formulas.bd09_to_gcj02(lon, lat)
    return formulas.gcj02_to_wgs84(lon, lat)

"""An order of fences in which those near to each other on the earth are near in memory.

People are where other people are: with a million fences those that one city's fixes ask for stand
together, and the processor's caches hold them as if there were no others.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from shared.boundary import Floats, Ints
from shared.geo import Circle, Shape
from shared.lonlat import ANTIMERIDIAN_DEG, POLE_DEG

_BITS = 20
"""Of either coordinate: some 40 m, less than a cell."""
_MULTI_POLYGON = 6
_FIRST_VERTEX, _FIRST_OF_SEVERAL = 13, 22
"""Bytes before the first vertex of a Polygon, and of a MultiPolygon.

Source: OGC 06-103r4, Simple Feature Access, section 8.2: well-known binary."""
_INTERLEAVED = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def by_vicinity(shapes: Sequence[Shape]) -> Ints:
    """The numbers of shapes along a curve that fills the earth, square by square.

    An outline counts as its first vertex.
    Source: G. M. Morton, A Computer Oriented Geodetic Data Base (1966).
    """
    places = np.fromiter(chain.from_iterable(_places(shapes)), np.float64, 2 * len(shapes))
    lon, lat = places.reshape(-1, 2).T
    code = _spread(_cut(lon, ANTIMERIDIAN_DEG)) | _spread(_cut(lat, POLE_DEG)) << 1
    return np.argsort(code, kind="stable")


def _places(shapes: Iterable[Shape]) -> Iterable[tuple[float, float]]:
    for shape in shapes:
        if isinstance(shape, Circle):
            yield shape.center.lon, shape.center.lat
            continue
        order, kind = ("<", shape.wkb[1]) if shape.wkb[0] else (">", shape.wkb[4])
        begin = _FIRST_OF_SEVERAL if kind == _MULTI_POLYGON else _FIRST_VERTEX
        yield struct.unpack_from(f"{order}dd", shape.wkb, begin)


def _cut(degrees: Floats, end_deg: float) -> Ints:
    """Degrees as whole numbers of ``_BITS`` bits."""
    whole = np.floor((degrees + end_deg) * (2**_BITS / (2 * end_deg)))
    cut: Ints = np.clip(whole, 0, 2**_BITS - 1).astype(np.intp)
    return cut


def _spread(numbers: Ints) -> Ints:
    """With a bit of 0 between any two bits."""
    for shift, mask in _INTERLEAVED:
        numbers = (numbers | numbers << shift) & mask
    return numbers

"""Fences that are asked together: their table, and answers made of what it measures."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from operator import attrgetter

import numpy as np

from services.geo_api.presence import alone, together, ways
from services.geo_api.presence.alone import Measure
from services.geo_api.presence.earth import points_of
from services.geo_api.presence.fences import (
    LIKELY_OVERLAP,
    LIKELY_SHARE,
    SEARCH_ACCURACY_CAP_M,
    SURE_SHARE,
    UNCERTAIN_BAND_M,
    Fence,
    FenceMatch,
    Fix,
)
from services.geo_api.presence.table import FenceTable
from services.geo_api.presence.together import Fixes, Measures, Pairs
from services.geo_api.presence.vicinity import by_vicinity
from shared.boundary import Floats, Ints

_LEAST_OUTSIDE_M = 0.001
_MILLIMETRE_BITS = 36
"""Room for a distance on the earth, negative ones too."""
_FEW = 32
"""So many fixes are asked one by one, more as arrays."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Fences that are asked together; make one with ``build``.

    They are numbered by vicinity. ``_ranks`` has each one's place by geofence_id, ``_by_id`` the
    numbers in that order, ``_by_store`` by store_id and then by geofence_id. ``_asked`` are the
    fences of stores that were asked about: a store that is visited is asked about again and again.
    """

    _fences: tuple[Fence, ...]
    _table: FenceTable
    _ranks: "array[int]"
    _by_id: "array[int]"
    _by_store: "array[int]"
    _asked: dict[str, "array[int]"] = field(default_factory=dict)

    @classmethod
    def build(cls, fences: Iterable[Fence], *, anew: bool = False) -> "Layer":
        """``anew`` makes the fences once more, one beside the other in memory, in their order."""
        given = sorted(fences, key=_by_id)
        shapes = [fence.shape for fence in given]
        ranks = by_vicinity(shapes)
        numbers = np.empty(len(given), np.int32)
        numbers[ranks] = np.arange(len(given))
        stores = [fence.store_id for fence in given]
        by_store = numbers[sorted(range(len(given)), key=stores.__getitem__)]
        table = FenceTable.build(shapes, ranks)
        ordered = map(given.__getitem__, ranks.tolist())
        columns = (ranks.astype(np.int32), numbers, by_store)
        in_rank, by_id, of_stores = (array("i", column.tobytes()) for column in columns)
        fences = tuple(map(_again, ordered) if anew else ordered)
        return cls(fences, table, in_rank, by_id, of_stores)

    def __len__(self) -> int:
        return len(self._fences)

    @property
    def fences(self) -> tuple[Fence, ...]:
        """By geofence_id."""
        return tuple(map(self._fences.__getitem__, self._by_id))

    def holds(self, geofence_id: str) -> bool:
        place = bisect_left(self._by_id, geofence_id, key=self._id)
        return place < len(self) and self._id(self._by_id[place]) == geofence_id

    def of_store(self, store_id: str) -> list[Fence]:
        return [self._fences[number] for number in self._of_store(store_id)]

    def _of_store(self, store_id: str) -> "array[int]":
        known = self._asked.get(store_id)
        if known is not None:
            return known
        numbers = self._by_store
        begin = end = bisect_left(numbers, store_id, key=self._store)
        while end < len(numbers) and self._store(numbers[end]) == store_id:
            end += 1
        found = numbers[begin:end]
        if found:
            self._asked[store_id] = found
        return found

    def _id(self, number: int) -> str:
        return self._fences[number].geofence_id

    def _store(self, number: int) -> str:
        return self._fences[number].store_id

    def match(self, fixes: Sequence[Fix]) -> list[tuple[FenceMatch, ...]]:
        if len(fixes) <= _FEW:
            return [self._match_one(fix) for fix in fixes]
        located = _located(fixes)
        lon, lat, accuracy = located.spots
        reach = np.minimum(accuracy, SEARCH_ACCURACY_CAP_M) + UNCERTAIN_BAND_M
        pairs = Pairs(*self._table.cells.pairs(lon, lat, reach))
        pairs, measures = together.near(self._table, located, pairs, reach)
        measures = _rounded(measures)
        near = np.flatnonzero(measures.metres <= reach[pairs.fix])
        return self._answers(len(fixes), pairs.those(near), measures.those(near))

    def _match_one(self, fix: Fix) -> tuple[FenceMatch, ...]:
        lon, lat, accuracy = fix
        reach = min(accuracy, SEARCH_ACCURACY_CAP_M) + UNCERTAIN_BAND_M
        around = self._table.cells.around(lon, lat, reach)
        return self._answer(alone.near(self._table, fix, around, reach), reach)

    def measure_all(self, asked: Sequence[tuple[str, Fix]]) -> list[tuple[FenceMatch, ...]]:
        if len(asked) <= _FEW:
            return [self._measure_one(store_id, fix) for store_id, fix in asked]
        fences = [self._of_store(store_id) for store_id, _ in asked]
        counts = [len(of_store) for of_store in fences]
        pairs = Pairs(
            np.repeat(np.arange(len(asked)), counts),
            np.array([fence for of_store in fences for fence in of_store], dtype=np.intp),
        )
        pairs, measures = together.near(self._table, _located([fix for _, fix in asked]), pairs)
        return self._answers(len(asked), pairs, _rounded(measures))

    def _measure_one(self, store_id: str, fix: Fix) -> tuple[FenceMatch, ...]:
        return self._answer(alone.near(self._table, fix, self._of_store(store_id)), math.inf)

    def crossed(self, asked: Sequence[tuple[Fix, Fix]]) -> list[list[Fence]]:
        """By way, then by geofence_id."""
        if len(asked) <= _FEW:
            met = [ways.crossed(self._table, *ends) for ends in asked]
        else:
            met = ways.all_crossed(self._table, asked)
        rank = self._ranks.__getitem__
        return [[self._fences[number] for number in sorted(of_way, key=rank)] for of_way in met]

    def _answer(
        self, measured: Iterable[tuple[int, Measure]], reach: float
    ) -> tuple[FenceMatch, ...]:
        """Those within reach, by distance, then by geofence_id."""
        found = []
        for number, (metres, inside, overlap, share) in measured:
            distance = round(metres * 1000) / 1000
            if not inside and distance < _LEAST_OUTSIDE_M:
                distance = _LEAST_OUTSIDE_M
            if distance <= reach:
                confidence = 1
                if overlap >= LIKELY_OVERLAP and share >= LIKELY_SHARE:
                    confidence = 3 if share >= SURE_SHARE else 2
                row = self._fences[number], inside, distance, overlap, share, confidence
                found.append((distance, self._ranks[number], _as_match(row)))
        found.sort()
        return tuple([match for _, _, match in found])

    def _answers(
        self, count: int, pairs: Pairs, measures: Measures
    ) -> list[tuple[FenceMatch, ...]]:
        """By fix, then as ``_answer``."""
        order = self._order(pairs, measures.metres)
        metres, inside, overlap, share = (column[order] for column in measures)
        likely = (overlap >= LIKELY_OVERLAP) & (share >= LIKELY_SHARE)
        confidence = 1 + likely + (share >= SURE_SHARE)
        fences = map(self._fences.__getitem__, pairs.fence[order].tolist())
        columns = (inside, metres, overlap, share, confidence)
        rows = zip(fences, *(column.tolist() for column in columns), strict=True)
        matches = map(_as_match, rows)
        return [
            tuple(islice(matches, of_fix))
            for of_fix in np.bincount(pairs.fix, minlength=count).tolist()
        ]

    def _order(self, pairs: Pairs, metres: Floats) -> Ints:
        """By fix, then by distance, then by geofence_id, which is seldom asked for."""
        millimetres = np.rint(metres * 1000).astype(np.int64)
        key = (pairs.fix << _MILLIMETRE_BITS) + millimetres
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        if np.any(ordered[1:] == ordered[:-1]):
            ranks = np.frombuffer(self._ranks, np.int32)[pairs.fence]
            order = np.lexsort((ranks, key))
        return order


def _again(fence: Fence) -> Fence:
    return Fence(
        fence.geofence_id,
        fence.store_id,
        fence.version,
        fence.shape,
        fence.schedule,
        fence.dwell_s,
    )


_by_id = attrgetter("geofence_id")
_as_match = partial(tuple.__new__, FenceMatch)
"""A match from its columns, in half the time that the constructor takes."""


def _located(fixes: Sequence[Fix]) -> Fixes:
    flat = np.fromiter(chain.from_iterable(fixes), np.float64, 3 * len(fixes))
    lon, lat, accuracy = np.ascontiguousarray(flat.reshape(-1, 3).T)
    return Fixes((lon, lat, accuracy), points_of(lon, lat))


def _rounded(measures: Measures) -> Measures:
    """With distances to 1 mm, such that outside is always more than 0."""
    metres = np.rint(measures.metres * 1000) / 1000 + 0.0
    metres = np.where(measures.inside, metres, np.maximum(metres, _LEAST_OUTSIDE_M))
    return measures._replace(metres=metres)

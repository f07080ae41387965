"""The boundary hour: people who stand for an hour exactly on the edge of a store."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from cli.simulation.deciding import RULES, decide, fence_index, look
from cli.simulation.paths import PathMaker
from cli.simulation.plane import Disc, Shop
from cli.simulation.reports import Report, reports
from cli.simulation.scoring import Score, at_edge
from cli.simulation.sources import SOURCES, Source, observe
from cli.simulation.town import RADII_M
from services.geo_api.presence.rule import ArrivalRule

_HOUR_S = 3_600.0
_EVERY_S = 10.0
"""A fix each 10 s, 360 in the hour: the closer they are, the more often a rule can flap."""

_OF_EDGES = 1
"""Keeps the chances of this part apart from those of the others under the same seed."""


def boundary_hours(
    seed: int, people: int, rules: Mapping[str, ArrivalRule] = RULES
) -> Iterator[tuple[tuple[str, str, str], Score]]:
    """((rule, source, store), what its people made of it); ``people`` stand at each edge."""
    for column, radius_m in enumerate(RADII_M):
        shop = Shop(f"sim-{radius_m}", Disc(0, 0, radius_m))
        index = fence_index([shop])
        for row, source in enumerate(SOURCES):
            chance = np.random.default_rng([seed, _OF_EDGES, column, row])
            for _ in range(people):
                sent = _stand(radius_m, source, chance)
                near = look(index, sent)
                for name, rule in rules.items():
                    visits = decide(sent, near, rule)
                    yield (name, source.name, shop.store_id), at_edge(visits, len(sent))


def _stand(radius_m: float, source: Source, chance: np.random.Generator) -> list[Report]:
    turn = 2 * math.pi * chance.random()
    there = PathMaker.beginning(radius_m * math.cos(turn), radius_m * math.sin(turn))
    path = there.wait(_HOUR_S).path()
    return reports("edge", observe(path, replace(source, every_s=_EVERY_S), chance))

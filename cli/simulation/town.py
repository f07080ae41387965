"""A street with four stores of different sizes, and people who run errands along it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from cli.simulation.paths import WALKING_MPS, Path, PathMaker
from cli.simulation.plane import Disc, Shop
from cli.simulation.reports import BEGINNING, Report, Trouble, reports
from cli.simulation.sources import SOURCES, Source, observe

RADII_M = (25, 50, 100, 200)
"""From the smallest venues met in the field (an inradius of 24 to 42 m, Customer.io's mobile SDKs,
2026) to the 200 m at which a store can hardly be missed."""

PAVEMENT_M = 10.0
"""From the edge of a geofence to the street that everybody walks along: many pass by, so near."""

_BETWEEN_M = 150.0
_STREET_NORTH_M = 0.0
_DRIVING_MPS = 8.3
_DRIVES = 0.25
_ERRANDS = ("shop", "shop", "shop", "bench")
_SHOPPING_S = (180.0, 1_200.0)
_SITTING_S = (180.0, 900.0)
_BENCH_M = (10.0, 60.0)
_ABOUT_EVERY_S = (20.0, 120.0)
_STROLLING_MPS = 0.7


@dataclass(frozen=True, slots=True)
class Walker:
    """A person: the true way, the source of the phone, and its check-ins as they arrive."""

    name: str
    source: Source
    path: Path
    sent: list[Report]


def street() -> tuple[Shop, ...]:
    """The stores from west to east, about the origin; a store's id tells its radius."""
    length_m = 2 * sum(RADII_M) + _BETWEEN_M * (len(RADII_M) - 1)
    shops, west_m = [], -length_m / 2
    for radius_m in RADII_M:
        ground = Disc(west_m + radius_m, _STREET_NORTH_M + PAVEMENT_M + radius_m, radius_m)
        shops.append(Shop(f"sim-{radius_m}", ground))
        west_m += 2 * radius_m + _BETWEEN_M
    return tuple(shops)


def walkers(
    seed: int, count: int, hours: float, trouble: Trouble, beginning: datetime = BEGINNING
) -> Iterator[Walker]:
    """People of every source in turn; each is decided by the seed and its own number alone."""
    shops = street()
    for number in range(count):
        chance = np.random.default_rng([seed, number])
        source = SOURCES[number % len(SOURCES)]
        path = errands(shops, hours * 3_600, chance)
        name = f"{source.name}-{number}"
        sent = reports(name, observe(path, source, chance), beginning)
        yield Walker(name, source, path, trouble.befalls(sent, chance))


def errands(shops: tuple[Shop, ...], seconds: float, chance: np.random.Generator) -> Path:
    """Along the street from one store to another one: into it, or to a bench before it.

    The bench stands 10 to 60 m clear of the edge, which a vague fix cannot tell from the store.
    """
    way = PathMaker.beginning(float(chance.uniform(-400, 400)), _STREET_NORTH_M)
    shop = shops[0]
    while way.now_s < seconds:
        others = [other for other in shops if other is not shop]
        shop = others[chance.integers(len(others))]
        ground = shop.ground
        assert isinstance(ground, Disc)  # noqa: S101 - the street has no others
        speed_mps = _DRIVING_MPS if chance.random() < _DRIVES else WALKING_MPS
        way.go(ground.east_m, _STREET_NORTH_M, speed_mps)
        if _ERRANDS[chance.integers(len(_ERRANDS))] == "shop":
            _shop(way, ground, chance)
        else:
            south_m = PAVEMENT_M - float(chance.uniform(*_BENCH_M))
            way.go(ground.east_m, south_m).wait(float(chance.uniform(*_SITTING_S)))
        way.go(ground.east_m, _STREET_NORTH_M)
    return way.path()


def _shop(way: PathMaker, ground: Disc, chance: np.random.Generator) -> None:
    """In by the door, about for some minutes, and out by the door."""
    way.go(*ground.door)
    until_s = way.now_s + float(chance.uniform(*_SHOPPING_S))
    while way.now_s < until_s:
        way.go(*ground.within(*chance.random(2)), _STROLLING_MPS)
        way.wait(float(chance.uniform(*_ABOUT_EVERY_S)))
    way.go(*ground.door)

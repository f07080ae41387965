"""Matching alone, against PostGIS in the same run: ``python -m bench.matching``.

A city: stores of which 80 % are normal around 31.2304, 121.4737 (standard deviation 0.08°) and
the rest even in a box of 1°, with circles of 200 m, outlines of 24 vertices about as large, or
half of each; people who walk 0.0015° (standard deviation) between two fixes of 12 m. More than
10,000 stores are more such cities 1° apart, while the people stay in the first; fewer are a part
of one, with its people. So the density stays that of the city, a fix is near to as many fences
whatever their number, and what grows is what lies elsewhere. Each number of fences runs in a
process of its own, whose memory is told. PostGIS has the same fences in a table with a GiST index
and is asked for the same fixes in batches of 1,000 on a connection of its own: which fences are
within reach, whether they hold the fix, and how far its edge is.
"""

import argparse
import gc
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import shapely

from bench.matching_postgis import PostGIS
from services.geo_api.presence.matching import Fence, FenceIndex, Fix
from shared.boundary import Floats
from shared.geo import Area, Circle, LonLat

CENTRE = (121.4737, 31.2304)
CITY_STORES = 10_000
PEOPLE = 20_000
STEP_DEG = 0.0015
RADIUS_M = 200.0
ACCURACY_M = 12.0
_REACH_M = ACCURACY_M + 20.0
VERTICES = 24
KINDS = ("half", "circles", "outlines")
_DATABASE = "SOLOMO_BENCH_DATABASE_URL"
_POSTGIS_FIXES = 2_000
_METRES_PER_DEG = 111_195.0


@dataclass(frozen=True, slots=True)
class City:
    """Where stores and people are: rows of longitude and latitude."""

    stores: Floats
    people: Floats
    random: np.random.Generator

    @classmethod
    def of(cls, stores: int, people: int) -> "City":
        random = np.random.default_rng(11)
        cities = math.ceil(stores / CITY_STORES)
        scale = math.sqrt(min(stores / CITY_STORES, 1))
        shops = _spread(random, stores, cities, scale)
        return cls(shops, _spread(random, people, 1, scale), random)

    def walk(self) -> list[Fix]:
        """The next fix of everybody."""
        self.people[:] += self.random.normal(0, STEP_DEG, self.people.shape)
        return [Fix(lon, lat, ACCURACY_M) for lon, lat in self.people.tolist()]

    def fences(self, kind: str) -> Iterator[Fence]:
        """With ids of their own, as they come from a database."""
        angle = np.arange(VERTICES + 1) % VERTICES * (2 * math.pi / VERTICES)
        for n, (lon, lat) in enumerate(self.stores.tolist()):
            shape: Circle | Area = Circle(LonLat(lon, lat), RADIUS_M)
            if kind == "outlines" or (kind == "half" and n % 2):
                ray = self.random.uniform(0.9, 1.1, VERTICES)[np.arange(VERTICES + 1) % VERTICES]
                north = ray * (RADIUS_M / _METRES_PER_DEG)
                east = north / math.cos(math.radians(lat))
                ring = np.column_stack((lon + east * np.cos(angle), lat + north * np.sin(angle)))
                shape = Area(shapely.Polygon(ring))
            yield Fence(f"fence-{n:07}", f"store-{n:07}", 1, shape)


def _spread(random: np.random.Generator, count: int, cities: int, scale: float) -> Floats:
    """Four in five around a centre, one in five in its box; over cities 1° apart, by turns."""
    normal = random.normal(0, 0.08 * scale, (count, 2))
    even = random.uniform(-0.5 * scale, 0.5 * scale, (count, 2))
    places = np.where(random.random((count, 1)) < 0.8, normal, even)
    across = math.ceil(math.sqrt(cities))
    city = random.integers(cities, size=count)
    corner = np.column_stack((city % across, city // across))
    return places + CENTRE + corner


@dataclass(frozen=True, slots=True)
class Rate:
    """Fixes per second by the clock, and per second of this process's own time."""

    wall: float
    cpu: float


def _timed(act: Callable[[], Any], fixes: int) -> Rate:
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return Rate(fixes / (time.perf_counter() - wall), fixes / (time.process_time() - cpu))


def measure(kind: str, count: int, rounds: int, database: str | None) -> dict[str, Any]:
    """One kind and number of fences, in this process; ``database`` where PostGIS is asked too."""
    city = City.of(count, PEOPLE)
    fences = [*city.fences(kind)]
    began = time.perf_counter()
    index = FenceIndex.build(fences, 1)
    load_s = time.perf_counter() - began
    gc.freeze()  # as the service does
    near = sum(map(len, index.match(city.walk())))
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    acts: dict[str, Callable[[Sequence[Fix]], object]] = {
        "bulk": index.match,
        "one by one": lambda fixes: [index.match([fix]) for fix in fixes],
    }
    with PostGIS.filled(database, fences, _REACH_M) if database else nullcontext() as postgis:
        del fences
        runs: dict[str, list[Rate]] = {name: [] for name in (*acts, "PostGIS")}
        for _ in range(rounds):
            fixes = city.walk()
            for name, act in acts.items():
                runs[name].append(_timed(partial(act, fixes), len(fixes)))
            if postgis is not None:
                few = fixes[:_POSTGIS_FIXES]
                runs["PostGIS"].append(_timed(partial(postgis.match, few), len(few)))
                assert postgis.agrees(few, index)  # noqa: S101 - a wrong bench
    return {
        "kind": kind, "fences": count, "load_s": load_s, "memory_mib": memory_mib,
        "near_per_fix": near / PEOPLE, "rates": {
            name: {"wall": statistics.median(rate.wall for rate in rates),
                   "cpu": statistics.median(rate.cpu for rate in rates)}
            for name, rates in runs.items() if rates
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--fences", type=int, nargs="+", default=[1_000, 10_000, 1_000_000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", metavar="URL", default=os.environ.get(_DATABASE),
                        help=f"a PostGIS for the yardstick (default: {_DATABASE})")  # fmt: skip
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        [kind], [count] = arguments.kinds, arguments.fences
        print(json.dumps(measure(kind, count, arguments.rounds, arguments.database)))
        return
    rows = [
        _elsewhere(kind, count, arguments) for kind in arguments.kinds for count in arguments.fences
    ]
    if arguments.json:
        print(json.dumps(rows))
    else:
        _report(rows)


def _elsewhere(kind: str, count: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """In a fresh process, so that its memory is its own; PostGIS is asked about one city."""
    words = ["--here", "--kinds", kind, "--fences", str(count), "--rounds", str(arguments.rounds)]
    environment = {name: value for name, value in os.environ.items() if name != _DATABASE}
    if arguments.database and count == CITY_STORES:
        environment[_DATABASE] = arguments.database
    done = subprocess.run(
        [sys.executable, "-m", "bench.matching", *words],
        env=environment, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    print(f"{kind}, {count:,} fences: done", file=sys.stderr)
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def _report(rows: Sequence[dict[str, Any]]) -> None:
    """Fixes per second by the clock, and in brackets per second of the process's own time."""
    print("fixes per second, medians; in brackets per second of the process's own time")
    print(f"{'fences':<22}{'bulk':>20}{'one by one':>20}{'PostGIS':>10}{'near':>7}"
          f"{'load s':>9}{'MiB':>8}")  # fmt: skip
    for row in rows:
        rates = row["rates"]
        bulk, alone = (
            f"{rates[name]['wall']:,.0f} ({rates[name]['cpu']:,.0f})"
            for name in ("bulk", "one by one")
        )
        theirs = f"{rates['PostGIS']['wall']:,.0f}" if "PostGIS" in rates else "-"
        print(f"{row['fences']:>9,} {row['kind']:<12}{bulk:>20}{alone:>20}{theirs:>10}"
              f"{row['near_per_fix']:>7.2f}{row['load_s']:>9.2f}{row['memory_mib']:>8.0f}")  # fmt: skip


if __name__ == "__main__":
    main()

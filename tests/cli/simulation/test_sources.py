import numpy as np
import pytest

from cli.simulation.paths import PathMaker
from cli.simulation.sources import ERROR_LASTS_S, SOURCES, Source, exactly, observe

DAYS = PathMaker.beginning(0, 0).wait(20 * 86_400).path()


@pytest.mark.parametrize("source", SOURCES)
def test_accuracies_have_the_mean_of_their_source_and_hold_the_truth_in_68_of_100(
    source: Source,
) -> None:
    seen = observe(DAYS, source, np.random.default_rng(3))
    off_m = np.hypot(seen.east_m, seen.north_m)
    assert seen.accuracy_m.mean() == pytest.approx(source.accuracy_m, rel=0.02)
    assert (off_m <= seen.accuracy_m).mean() == pytest.approx(0.68, abs=0.01)


def test_errors_last_for_a_while() -> None:
    source = Source("often", 10, every_s=ERROR_LASTS_S / 3)
    seen = observe(DAYS, source, np.random.default_rng(3))
    error = seen.east_m / seen.accuracy_m
    kept = np.corrcoef(error[:-3], error[3:])[0, 1]
    assert kept == pytest.approx(np.exp(-1), abs=0.02)


def test_an_exact_phone_is_where_it_says_and_says_the_mean() -> None:
    seen = exactly(PathMaker.beginning(0, 0).go(140, 0).path(), Source("exact", 10, every_s=50))
    assert seen.times_s.tolist() == [0, 50]
    assert seen.east_m.tolist() == pytest.approx([0, 70])
    assert seen.accuracy_m.tolist() == [10, 10]

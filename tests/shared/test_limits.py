import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TooManyRequests
from shared.limits import Limiter, Rate, build_limiter


class Watch:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limiter_of(rate: Rate, watch: Watch, max_buckets: int = 100) -> Limiter:
    return Limiter({"key": rate}, monotonic=watch, max_buckets=max_buckets)


def taken(limiter: Limiter, key: str, times: int) -> int:
    allowed = 0
    for _ in range(times):
        try:
            limiter.take("key", key)
        except TooManyRequests:
            continue
        allowed += 1
    return allowed


def test_a_burst_is_allowed_and_no_more() -> None:
    assert taken(limiter_of(Rate(10, 100), Watch()), "a", 150) == 100


def test_room_comes_back_at_the_rate() -> None:
    watch = Watch()
    limiter = limiter_of(Rate(10, 100), watch)
    taken(limiter, "a", 100)

    watch.now += 2.5

    assert taken(limiter, "a", 100) == 25


def test_idling_saves_up_no_more_than_a_burst() -> None:
    watch = Watch()
    limiter = limiter_of(Rate(10, 100), watch)
    taken(limiter, "a", 1)

    watch.now += 3600

    assert taken(limiter, "a", 150) == 100


def test_keys_do_not_share_a_bucket() -> None:
    limiter = limiter_of(Rate(1, 1), Watch())

    assert [taken(limiter, key, 2) for key in "abc"] == [1, 1, 1]


@given(
    per_s=st.floats(min_value=0.01, max_value=1000),
    burst=st.integers(min_value=1, max_value=50),
    used_early_s=st.floats(min_value=0, max_value=5),
)
def test_after_the_seconds_it_names_there_is_room(
    per_s: float, burst: int, used_early_s: float
) -> None:
    watch = Watch()
    limiter = limiter_of(Rate(per_s, burst), watch)
    taken(limiter, "a", burst)
    watch.now += used_early_s
    for _ in range(burst + 1):
        try:
            limiter.take("key", "a")
        except TooManyRequests as refusal:
            watch.now += refusal.retry_after_s + 1e-6
            limiter.take("key", "a")
            return


def test_the_wait_is_not_longer_than_it_must_be() -> None:
    watch = Watch()
    limiter = limiter_of(Rate(10 / 60, 10), watch)
    taken(limiter, "a", 10)

    with pytest.raises(TooManyRequests) as caught:
        limiter.take("key", "a")

    assert caught.value.retry_after_s == 6


def test_memory_is_bounded_and_the_idlest_key_is_forgotten() -> None:
    limiter = limiter_of(Rate(0.001, 1), Watch(), max_buckets=3)
    for key in "abc":
        limiter.take("key", key)
    assert taken(limiter, "a", 1) == 0

    limiter.take("key", "d")

    assert len(limiter._buckets["key"]) == 3
    assert taken(limiter, "a", 1) == 0
    assert taken(limiter, "b", 1) == 1


def test_workers_share_the_rate() -> None:
    alone = build_limiter(key_per_s=100, subject_per_s=10, code_guesses_per_min=10)
    one_of_four = build_limiter(key_per_s=100, subject_per_s=10, code_guesses_per_min=10, workers=4)

    assert one_of_four.rates["key"].per_s * 4 == alone.rates["key"].per_s
    assert one_of_four.rates["subject"].burst * 4 == alone.rates["subject"].burst == 100


def test_many_workers_still_let_one_request_through() -> None:
    limiter = build_limiter(key_per_s=1, subject_per_s=1, code_guesses_per_min=1, workers=64)

    limiter.take("code_guess", "staff-1")
    with pytest.raises(TooManyRequests) as caught:
        limiter.take("code_guess", "staff-1")
    assert caught.value.retry_after_s <= 64 * 60


def test_a_kind_without_a_rate_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        limiter_of(Rate(1, 1), Watch()).take("other", "a")


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (-1, 1), (1, 0.5)])
def test_a_rate_that_allows_nothing_is_refused(per_s: float, burst: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Rate(per_s, burst)


def test_a_check_uses_nothing_up_and_refuses_as_a_take_would() -> None:
    limiter = Limiter({"key": Rate(1, 1)}, monotonic=lambda: 0.0)
    limiter.check("key", "a")
    limiter.check("key", "a")
    limiter.take("key", "a")
    with pytest.raises(TooManyRequests):
        limiter.check("key", "a")

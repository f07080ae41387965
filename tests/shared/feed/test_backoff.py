from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.feed.backoff import EVENT_CAP_S, PEER_CAP_S, Circuit, backoff_s


@given(st.integers(min_value=1, max_value=100_000))
def test_a_wait_is_between_half_and_all_of_a_doubling_second(failures: int) -> None:
    full_s = min(EVENT_CAP_S, 2.0 ** min(failures - 1, 20))
    assert full_s / 2 <= backoff_s(failures) <= full_s


def test_a_closed_circuit_admits_everybody() -> None:
    circuit = Circuit()
    assert circuit.admits(0.0)
    assert circuit.admits(0.0)


def test_an_open_circuit_admits_one_probe_after_the_wait() -> None:
    circuit = Circuit()
    assert circuit.failed(100.0)
    assert not circuit.admits(100.4)
    assert circuit.admits(101.0)
    assert not circuit.admits(101.0)
    assert circuit.blocks(101.0)


def test_the_waits_between_probes_grow_to_their_cap() -> None:
    circuit, now, probes = Circuit(), 0.0, list[float]()
    circuit.failed(now)
    while now < 600:
        now += 0.1
        if circuit.admits(now):
            probes.append(now)
            assert not circuit.failed(now)
    waits = [later - earlier for earlier, later in pairwise(probes)]
    assert max(waits) <= PEER_CAP_S + 0.2
    assert min(waits[6:]) >= PEER_CAP_S / 2


def test_requests_under_way_when_the_peer_went_do_not_lengthen_the_wait() -> None:
    circuit = Circuit()
    assert circuit.failed(0.0)
    assert not circuit.failed(0.0)
    assert not circuit.failed(0.0)
    assert circuit.failures == 1


def test_an_answer_closes_the_circuit() -> None:
    circuit = Circuit()
    assert not circuit.succeeded()
    circuit.failed(0.0)
    assert circuit.succeeded()
    assert circuit.admits(0.0)


def test_the_peer_may_ask_for_a_longer_wait_but_not_for_ever() -> None:
    circuit = Circuit()
    circuit.failed(0.0, retry_after_s=120.0)
    assert not circuit.admits(119.0)
    assert circuit.admits(120.0)
    circuit.failed(120.0, retry_after_s=1e9)
    assert circuit.admits(120.0 + EVENT_CAP_S)

"""How far a revocation of whereabouts reaches among those who are one person."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.member_api.timeline.domain import Bond, reach
from tests.member_api.events import START

PEOPLE = [UUID(int=n) for n in range(1, 7)]
instants = st.integers(0, 9).map(lambda n: START + timedelta(hours=n))
revocations = st.dictionaries(st.sampled_from(PEOPLE), instants, max_size=4)
bonds = st.lists(
    st.builds(Bond, st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), instants), max_size=8
)

loaded = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine under load takes a second for the first of its inputs."""


@loaded
@given(revocations=revocations, bonds=bonds)
def test_a_revocation_reaches_whom_bonds_of_its_time_lead_to(
    revocations: dict[UUID, datetime], bonds: list[Bond]
) -> None:
    reached = reach(revocations, bonds)

    for origin, until in revocations.items():
        group = {origin}
        for _ in PEOPLE:
            group |= {
                end
                for bond in bonds
                if bond.since <= until and {bond.one, bond.other} & group
                for end in (bond.one, bond.other)
            }
        assert all(reached[who] >= until for who in group)
    assert set(reached.values()) <= set(revocations.values())
    assert reach(reached, bonds) == reached


@loaded
@given(revocations=revocations, bonds=bonds, order=st.randoms(use_true_random=False))
def test_it_does_not_matter_in_which_order_bonds_and_revocations_are_told(
    revocations: dict[UUID, datetime], bonds: list[Bond], order: Any
) -> None:
    steps: list[Any] = [*bonds, *revocations.items()]
    order.shuffle(steps)
    known: list[Bond] = []
    reached: dict[UUID, datetime] = {}
    for step in steps:
        if isinstance(step, Bond):
            known.append(step)
        else:
            who, until = step
            reached[who] = max(until, reached.get(who, until))
        reached = reach(reached, known)

    assert reached == reach(revocations, bonds)

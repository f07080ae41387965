"""A mistake of member_api's own holds up the one fact that meets it, and no other."""

from collections.abc import Iterable
from uuid import UUID, uuid4

import httpx
import pytest

from services.member_api.timeline import whereabouts
from services.member_api.timeline.facts import Fact
from tests.member_api.conftest import Tell
from tests.member_api.events import check_in
from tests.member_api.timeline.test_social import person

pytestmark = pytest.mark.slow


async def test_a_fact_that_meets_a_mistake_is_parked_and_the_others_go_on(
    member: httpx.AsyncClient,
    server: dict[str, str],
    tell: Tell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = whereabouts.tell_whereabouts

    def mistaken(facts: Iterable[Fact]) -> set[UUID]:
        known = [*facts]
        assert not any(fact.store_id == "unforeseen" for fact in known)
        return whole(known)

    who = uuid4()
    facts = [check_in(who) for _ in range(5)]
    bad = check_in(who, store_id="unforeseen")
    with monkeypatch.context() as patched:
        patched.setattr(whereabouts, "tell_whereabouts", mistaken)
        results = await tell(*facts[:3], bad, *facts[3:], refused=True)
    assert [one["status"] for one in results] == ["applied"] * 3 + ["refused"] + ["applied"] * 2
    assert results[3]["reason"] == "not_applied_AssertionError"

    await tell(bad)  # the mistake is mended, and the operator replays what was parked
    assert (await person(member, server, who))["traits"]["check_ins"] == 6

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from cli.simulation.deciding import Found, decide, fence_index, look
from cli.simulation.reports import Report, Trouble, in_order_of_arrival
from cli.simulation.sending import Installation
from cli.simulation.spoofing import spoofers
from cli.simulation.town import street, walkers
from services.geo_api.presence.rule import DEFAULT_RULE, PLAIN_RULE, ArrivalRule
from tests.conftest import Tokens

pytestmark = pytest.mark.slow

HOURS = 2
TROUBLED = Trouble(offline=0.6, silent=0.3, skewed=0.3, repeated=0.1)


@pytest.fixture
def sent() -> list[Report]:
    beginning = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=HOURS + 1)
    people = walkers(11, 8, HOURS, TROUBLED, beginning)
    pretended = spoofers(11, 1, HOURS, beginning)
    return in_order_of_arrival([*(person.sent for person in people), *pretended.values()])


@pytest.fixture
async def installation(geo: httpx.AsyncClient, tokens: Tokens) -> Installation:
    geo.headers.update(tokens("server"))
    installation = Installation(geo, tokens("marketer"))
    await installation.build(street())
    return installation


def expected(sent: Sequence[Report], rule: ArrivalRule = DEFAULT_RULE) -> list[Found]:
    return decide(sent, look(fence_index(street()), sent), rule)


def quietly(_done: int, _said: str) -> None:
    """Nobody watches."""


async def test_an_installation_lists_exactly_the_visits_expected(
    installation: Installation, sent: list[Report]
) -> None:
    made = await installation.compare("one", sent, expected(sent), quietly)
    assert (made.missing, made.surplus) == ((), ())
    assert made.listed > 20
    assert made.tally.refused.total() == made.tally.not_recorded.total() == 0
    assert made.tally.repeats > 0
    assert made.tally.answered == len(sent)


async def test_two_runs_do_not_mix_and_another_rule_is_told_apart(
    installation: Installation, sent: list[Report]
) -> None:
    await installation.build(street())
    first = await installation.compare("one", sent, expected(sent), quietly)
    other = await installation.compare("two", sent, expected(sent, PLAIN_RULE), quietly)
    assert first.is_equal
    assert not other.is_equal
    assert other.listed == first.listed
    assert other.missing
    assert other.surplus

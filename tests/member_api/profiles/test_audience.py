"""What geo_api is told: only what changed, in order, and nothing of strangers."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from hypothesis import given
from hypothesis import strategies as st

from services.member_api.profiles.domain import digest, next_revision, stranger
from shared.contracts.events import AudienceFacts, Event, Lifecycle
from shared.ids import birth_person_id
from tests.member_api.conftest import Known, Tell
from tests.member_api.consents.test_consents import told
from tests.member_api.events import app_user, at, check_in, redeemed, reversed_
from tests.member_api.people.test_merges import merge, undo
from tests.member_api.profiles.geo_twin import GeoTwin, until


def facts(event: dict[str, Any]) -> AudienceFacts:
    Event.model_validate(event)
    return AudienceFacts.model_validate(event["data"])


async def test_a_fan_is_no_news(tell: Tell, database: asyncpg.Connection) -> None:
    subject = uuid4()
    await tell(check_in(subject), check_in(subject, time=at(5)))

    assert await told(database, subject) == []


async def test_a_redemption_and_its_reversal_change_the_lifecycle(
    tell: Tell, database: asyncpg.Connection
) -> None:
    subject, first, second = uuid4(), uuid4(), uuid4()

    await tell(redeemed(subject, first))
    await tell(redeemed(subject, second))
    await tell(reversed_(subject, first, time=at(1)))
    await tell(reversed_(subject, second, time=at(2)))

    events = await told(database, subject)
    assert [facts(event).lifecycle for event in events] == [Lifecycle.CUSTOMER, Lifecycle.FAN]
    assert [event["revision"] for event in events] == [1, 2]


async def test_all_siblings_are_told_of_a_merge_and_its_undoing(
    member: httpx.AsyncClient,
    server: dict[str, str],
    known: Known,
    tell: Tell,
    database: asyncpg.Connection,
) -> None:
    one, other = await known(app_user("1")), await known(app_user("2"))
    await tell(redeemed(other, uuid4()))

    merged = (await merge(member, server, one, other)).json()
    await tell(redeemed(one, uuid4()))
    await undo(member, server, merged["merge_id"])

    survivor = min(map(birth_person_id, (one, other)))
    of_one = [facts(event) for event in await told(database, one)]
    assert [fact.person_id for fact in of_one] == [survivor, birth_person_id(one)]
    assert [fact.siblings for fact in of_one] == [sorted([one, other]), [one]]
    assert [fact.lifecycle for fact in of_one] == [Lifecycle.CUSTOMER, Lifecycle.CUSTOMER]
    of_other = [facts(event) for event in await told(database, other)]
    assert [len(fact.siblings) for fact in of_other] == [1, 2, 1]


async def test_the_feed_reaches_geo_api_by_its_batch_endpoint(
    member: httpx.AsyncClient,
    switchboard: Any,
    server: dict[str, str],
    known: Known,
    database: asyncpg.Connection,
) -> None:
    twin = GeoTwin()
    switchboard.apps["geo"] = twin.app
    one, other = await known(app_user("1")), await known(app_user("2"))

    await merge(member, server, one, other)

    async def delivered() -> bool:
        return bool(await database.fetchval("SELECT count(*) = 0 FROM member.outbox"))

    await until(delivered)
    assert {UUID(event["subject"]) for event in twin.heard} == {one, other}
    assert twin.paths == {"/v1/audience/batch"}
    assert twin.roles == {"service"}


def test_a_stranger_is_what_geo_api_takes_for_granted() -> None:
    subject = uuid4()

    assert AudienceFacts.model_validate(stranger(subject)) == AudienceFacts(
        person_id=birth_person_id(subject), siblings=[subject], lifecycle=Lifecycle.FAN
    )


@given(st.uuids(), st.uuids())
def test_a_digest_tells_facts_apart_and_not_their_order(one: UUID, other: UUID) -> None:
    told_of_one = stranger(one)

    assert digest(dict(reversed(told_of_one.items()))) == digest(told_of_one)
    assert (digest(stranger(other)) == digest(told_of_one)) == (one == other)


@given(st.integers(0, 1 << 40))
def test_revisions_rise(revision: int) -> None:
    assert next_revision(revision, None) > revision
    assert next_revision(revision, at(0)) > revision
    assert next_revision(0, at(0)) > int(at(0).timestamp())

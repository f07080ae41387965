"""Identifiers made by hand must be those of the standard library."""

from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest
from asyncpg.pgproto import pgproto

from shared.ids import event_id, named_uuid, swift_uuid7, uuid7


@pytest.mark.parametrize("name", ["", "a", "x" * 300, "门店"])
def test_a_named_id_is_that_of_the_standard_library(name: str) -> None:
    assert named_uuid(NAMESPACE_URL, name) == uuid5(NAMESPACE_URL, name)


@pytest.mark.parametrize("make", [uuid7, swift_uuid7])
def test_a_new_id_tells_its_moment_version_and_variant(make: type) -> None:
    made = UUID(str(make(1_234_567_890_123)))
    assert made.int >> 80 == 1_234_567_890_123
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert len({make() for _ in range(1_000)}) == 1_000


def test_ids_of_one_moment_come_before_those_of_the_next() -> None:
    assert str(swift_uuid7(1)) < str(swift_uuid7(2)) < str(swift_uuid7(1_000_000))


def test_a_fact_told_twice_has_one_id_whatever_kind_of_id_its_subject_has() -> None:
    subject = uuid4()
    swift = pgproto.UUID(subject.bytes)
    assert event_id(subject, "check_in", "1") == event_id(swift, "check_in", "1")

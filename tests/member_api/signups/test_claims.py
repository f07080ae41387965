"""What an applicant says its identities are: kept, but not without end."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.auth import Role
from tests.conftest import Tokens
from tests.member_api.signups.test_sign_ups import sign_up

pytestmark = pytest.mark.slow


def phones(first: int, count: int = 10) -> list[dict[str, Any]]:
    numbers = range(first, first + count)
    return [{"namespace": "phone", "value": f"+86138001380{number:02}"} for number in numbers]


async def test_a_member_claims_at_most_fifty_identities(
    member: httpx.AsyncClient, tokens: Tokens
) -> None:
    own = tokens(Role.MEMBER, subject_id=uuid4())
    for first in range(0, 50, 10):
        assert (await sign_up(member, own, identities=phones(first))).is_success

    again = await sign_up(member, own, identities=phones(0))
    one_more = await sign_up(member, own, identities=phones(50, 1), profile={"name": "Li"})

    assert again.status_code == 200
    assert one_more.status_code == 422
    assert one_more.json()["errors"][0]["pointer"] == "/identities"
    person = (await member.get("/v1/people/me", headers=own)).json()
    assert (len(person["identities"]), person["profile"]) == (50, {})

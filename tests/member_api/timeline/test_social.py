"""What social channels tell stands in the timeline, and says how somebody came."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from shared.ids import birth_person_id
from tests.member_api.conftest import Invite, Tell
from tests.member_api.events import at, check_in, message, social, visit
from tests.member_api.people.test_merges import everything, merge, undo
from tests.member_api.signups.test_sign_ups import sign_up

pytestmark = pytest.mark.slow


async def person(member: httpx.AsyncClient, server: dict[str, str], subject: UUID) -> Any:
    response = await member.get(f"/v1/people/{birth_person_id(subject)}", headers=server)
    assert response.status_code == 200, response.text
    return response.json()


async def items(
    member: httpx.AsyncClient, server: dict[str, str], subject: UUID, **asked: Any
) -> list[dict[str, Any]]:
    path = f"/v1/people/{birth_person_id(subject)}/timeline"
    response = await member.get(path, params={"limit": 500, **asked}, headers=server)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["items"]
    return found


def poster(subject: UUID, key: str, minute: float, **more: Any) -> dict[str, Any]:
    """A scan of a store's poster."""
    touch = {"scene": "p-1", "campaign": "spring", "kol": "mei"} | more
    store_id = touch.pop("store_id", "s7")
    return social("scanned", subject, key, time=at(minute), store_id=store_id, **touch)


async def test_what_social_channels_tell_stands_in_the_timeline_and_is_no_visit(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    who = uuid4()
    await tell(
        social("followed", who, "1", time=at(0), store_id="s7", scene="p-1"),
        social("menu_used", who, "2", time=at(1), event="VIEW", key="https://example.org/" + "x" * 300),
        social("message_received", who, "3", time=at(2), kind="text"),
        social("subscription_changed", who, "4/0", time=at(3), template_id="t", status="accept"),
        social("event", who, "5", time=at(4), event="user_get_card"),
        poster(who, "6", 5, store_id="s8"),
        message(who, uuid4(), "sent", time=at(6)),
        social("unfollowed", who, "7", time=at(7)),
    )  # fmt: skip

    of_type = await items(member, server, who, type=["social_followed", "social_scanned"])
    at_store = await items(member, server, who, store_id="s7")
    traits = (await person(member, server, who))["traits"]

    assert len(await items(member, server, who)) == 8
    assert [one["type"] for one in of_type] == ["social_scanned", "social_followed"]
    assert [one["type"] for one in at_store] == ["social_followed"]
    assert (traits["check_ins"], traits["visits"], traits["visits_by_store"]) == (0, 0, {})
    assert traits["last_seen_at"] == "2026-11-20T09:07:00Z"


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("followed", {"channel": None}, "bad_channel"),
        ("followed", {"channel": "x" * 201}, "bad_channel"),
        ("scanned", {"account_id": ""}, "bad_account_id"),
        ("scanned", {"scene": 7}, "bad_scene"),
        ("scanned", {"campaign": {}}, "bad_campaign"),
        ("scanned", {"kol": "k" * 201}, "bad_kol"),
        ("menu_used", {}, "bad_event"),
        ("menu_used", {"event": "VIEW", "key": "x" * 2_001}, "bad_key"),
        ("message_received", {}, "bad_kind"),
        ("subscription_changed", {"template_id": "t"}, "bad_status"),
        ("event", {}, "bad_event"),
        ("message_sent", {"outreach_id": "no"}, "bad_outreach_id"),
        ("message_sent", {"state": "waiting"}, "bad_state"),
        ("message_sent", {"route": "pigeon"}, "bad_route"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_name(
    tell: Tell, kind: str, data: dict[str, Any], reason: str
) -> None:
    fact = social(kind, uuid4(), "1")
    if kind == "message_sent":
        fact = message(uuid4(), uuid4(), "sent")
    fact["data"] |= data

    assert await tell(fact, refused=True) == [
        {"id": fact["id"], "status": "refused", "reason": reason}
    ]


async def test_a_message_is_amended_by_revision_and_counted_once(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    who, first, second, third = uuid4(), uuid4(), uuid4(), uuid4()
    await tell(message(who, first, "delivered", 2), message(who, second, "sent"))
    await tell(message(who, first, "sent"), message(who, second, "failed", 2))
    dropped = message(who, third, "dropped")
    dropped["data"] |= {"route": None, "account_id": None, "reason": "quiet"}
    await tell(dropped)

    found = await items(member, server, who, type="social_message_sent")
    traits = (await person(member, server, who))["traits"]

    states = {one["data"]["outreach_id"]: one["data"]["state"] for one in found}
    assert states == {str(first): "delivered", str(second): "failed", str(third): "dropped"}
    assert traits["messages"] == {"sent": 0, "delivered": 1, "failed": 1, "dropped": 1}


async def test_the_first_and_the_last_contact_are_told_by_time_and_not_by_arrival(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    who = uuid4()
    await tell(poster(who, "late", 30, scene="p-3", campaign=None, kol=None))
    await tell(poster(who, "middle", 20, scene="p-2"))
    await tell(check_in(who, time=at(-60)), visit("visit_entered", who, uuid4(), at(-60)))
    await tell(poster(who, "early", 10))
    await tell(social("menu_used", who, "menu", time=at(1), event="CLICK", key="K"))

    traits = (await person(member, server, who))["traits"]

    assert traits["acquisition"] == {
        "channel": "wechat",
        "account_id": "gh-1",
        "store_id": "s7",
        "scene": "p-1",
        "campaign": "spring",
        "kol": "mei",
        "at": "2026-11-20T09:10:00Z",
    }
    assert (traits["last_touch"]["scene"], traits["last_touch"]["at"]) == (
        "p-3",
        "2026-11-20T09:30:00Z",
    )


async def test_a_contact_that_is_amended_or_taken_back_leaves_no_trace(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    who = uuid4()
    amended = poster(who, "1", 5) | {"revision": 2}
    await tell(
        poster(who, "1", 1), poster(who, "2", 10, campaign="autumn"), message(who, who, "sent")
    )
    await tell(amended)
    await tell(amended | {"revision": 3, "retracted": True})
    await tell(message(who, who, "sent", 2) | {"retracted": True})

    traits = (await person(member, server, who))["traits"]

    assert traits["acquisition"]["campaign"] == traits["last_touch"]["campaign"] == "autumn"
    assert sum(traits["messages"].values()) == 0


async def test_of_each_account_the_latest_word_says_whether_it_is_followed(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    who = uuid4()
    await tell(social("unfollowed", who, "3", time=at(30), account_id="gh-2"))
    await tell(
        social("followed", who, "1", time=at(0)), social("unfollowed", who, "2", time=at(10))
    )
    await tell(social("followed", who, "4", time=at(20), account_id="gh-2"))
    await tell(social("followed", who, "5", time=at(40)))

    follows = (await person(member, server, who))["traits"]["follows"]

    assert follows == [
        {"channel": "wechat", "account_id": "gh-1", "follows": True, "since": "2026-11-20T09:40:00Z"},
        {"channel": "wechat", "account_id": "gh-2", "follows": False, "since": "2026-11-20T09:30:00Z"},
    ]  # fmt: skip


async def test_contacts_combine_over_a_merge_and_part_again_exactly(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell
) -> None:
    one, other = uuid4(), uuid4()
    await tell(
        poster(one, "1", 20),
        poster(other, "2", 10, campaign="autumn"),
        social("followed", one, "3", time=at(5)),
        social("unfollowed", other, "4", time=at(25)),
        message(one, one, "sent"),
        message(other, other, "sent"),
    )
    apart = await everything(member, server, one, other)

    merged = (await merge(member, server, one, other)).json()
    traits = (await person(member, server, one))["traits"]
    await undo(member, server, merged["merge_id"])

    assert traits["acquisition"]["at"] == "2026-11-20T09:05:00Z"
    assert traits["last_touch"]["campaign"] == "spring"
    assert [one["follows"] for one in traits["follows"]] == [False]
    assert traits["messages"]["sent"] == 2
    assert await everything(member, server, one, other) == apart


async def test_who_came_by_no_channel_was_brought_by_a_visit_or_the_sign_up(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, invite: Invite
) -> None:
    invited, walked_in = uuid4(), uuid4()
    for who in (invited, walked_in):
        invitation = invite(who, campaign="opening", kol="mei", store_id="s3")
        assert (await sign_up(member, invitation=invitation)).status_code == 201
    await tell(visit("visit_entered", walked_in, uuid4(), at(0), store_id="s2"))

    by_invitation = await person(member, server, invited)
    by_visit = await person(member, server, walked_in)

    (membership,) = by_invitation["memberships"]
    assert (membership["store_id"], membership["campaign"], membership["kol"]) == (
        "s3",
        "opening",
        "mei",
    )
    (step,) = by_invitation["lifecycle_changes"]
    assert step["cause"] == {
        "type": "signed_up",
        "event_id": membership["event_id"],
        "store_id": "s3",
        "campaign": "opening",
        "kol": "mei",
    }
    brought = by_invitation["traits"]["acquisition"]
    assert (brought["channel"], brought["store_id"], brought["kol"]) == ("sign_up", "s3", "mei")
    walked = by_visit["traits"]["acquisition"]
    assert (walked["channel"], walked["store_id"], walked["at"]) == (
        "visit",
        "s2",
        "2026-11-20T09:00:00Z",
    )

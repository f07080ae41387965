"""Queries of what social channels told: how somebody came, what they follow, what was sent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.timeline.domain import Contact, Follow
from services.member_api.timeline.facts import Fact
from shared.contracts.events import EventType

_REMOVE = text("""
    DELETE FROM member.social_touches AS t
    USING unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[])) AS old (subject_id, event_id)
    WHERE t.subject_id = old.subject_id AND t.event_id = old.event_id
""")

_ADD = text("""
    INSERT INTO member.social_touches (subject_id, at, event_id, came, follows, channel,
        account_id, store_id, scene, campaign, kol)
    SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:times AS timestamptz[]),
        CAST(:ids AS uuid[]), CAST(:came AS boolean[]), CAST(:follows AS boolean[]),
        CAST(:channels AS text[]), CAST(:accounts AS text[]), CAST(:stores AS text[]),
        CAST(:scenes AS text[]), CAST(:campaigns AS text[]), CAST(:kols AS text[]))
""")

_TELL_MESSAGES = text("""
    INSERT INTO member.social_messages (subject_id, event_id, state)
    SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[]), CAST(:states AS text[]))
    ON CONFLICT (subject_id, event_id) DO UPDATE SET state = EXCLUDED.state
""")

_REMOVE_MESSAGES = text("""
    DELETE FROM member.social_messages AS m
    USING unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[])) AS old (subject_id, event_id)
    WHERE m.subject_id = old.subject_id AND m.event_id = old.event_id
""")

# Both ends of each subject's contacts, straight off the primary key.
_CONTACTS = text("""
    SELECT c.at, c.event_id, c.channel, c.account_id, c.store_id, c.scene, c.campaign, c.kol
    FROM unnest(CAST(:subjects AS uuid[])) AS who (subject_id)
    CROSS JOIN LATERAL (
        (SELECT t.* FROM member.social_touches AS t
         WHERE t.subject_id = who.subject_id AND t.came
         ORDER BY t.at, t.event_id LIMIT 1)
        UNION ALL
        (SELECT t.* FROM member.social_touches AS t
         WHERE t.subject_id = who.subject_id AND t.came
         ORDER BY t.at DESC, t.event_id DESC LIMIT 1)
    ) AS c
""")

_FOLLOWS = text("""
    SELECT DISTINCT ON (channel, account_id) channel, account_id, follows, at AS since
    FROM member.social_touches
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND follows IS NOT NULL
    ORDER BY channel, account_id, at DESC, event_id DESC
""")

_MESSAGES = text("""
    SELECT state, count(*) AS messages FROM member.social_messages
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) GROUP BY state
""")

_SAYS_FOLLOWING: Mapping[str, bool] = {
    EventType.SOCIAL_FOLLOWED.value: True,
    EventType.SOCIAL_UNFOLLOWED.value: False,
}


async def touch(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    """Keep what claimed facts of social channels say; an earlier revision of them goes."""
    amended = [fact for fact in facts if fact.retracted or fact.revision > 1]
    if amended:
        await connection.execute(_REMOVE, _keys(amended))
    telling = [fact for fact in facts if not fact.retracted and _says_something(fact)]
    if telling:
        await connection.execute(_ADD, _columns(telling))


async def tell_messages(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    """What has become of messages."""
    gone = [fact for fact in facts if fact.retracted]
    if gone:
        await connection.execute(_REMOVE_MESSAGES, _keys(gone))
    told = [fact for fact in facts if not fact.retracted]
    if told:
        states = [fact.data["state"] for fact in told]
        await connection.execute(_TELL_MESSAGES, {**_keys(told), "states": states})


async def contacts(connection: AsyncConnection, subjects: Iterable[UUID]) -> list[Contact]:
    """The first and the last contact of each subject, in no order."""
    rows = await connection.execute(_CONTACTS, {"subjects": list(subjects)})
    return [Contact(*row) for row in rows]


async def follows(connection: AsyncConnection, subjects: Iterable[UUID]) -> list[Follow]:
    """Of each account the last that subjects said, by (time, event id)."""
    rows = await connection.execute(_FOLLOWS, {"subjects": list(subjects)})
    return [Follow(*row) for row in rows]


async def messages(connection: AsyncConnection, subjects: Iterable[UUID]) -> dict[str, int]:
    """How many messages to subjects are in each state."""
    rows = await connection.execute(_MESSAGES, {"subjects": list(subjects)})
    return {row.state: row.messages for row in rows}


def _says_something(fact: Fact) -> bool:
    return fact.type in _SAYS_FOLLOWING or _came(fact)


def _came(fact: Fact) -> bool:
    is_follow = fact.type == EventType.SOCIAL_FOLLOWED
    return is_follow or (
        fact.data.get("scene") is not None and _SAYS_FOLLOWING.get(fact.type, True)
    )


def _keys(facts: Sequence[Fact]) -> dict[str, Any]:
    return {
        "subjects": [fact.subject for fact in facts],
        "ids": [fact.event_id for fact in facts],
    }


def _columns(facts: Sequence[Fact]) -> dict[str, Any]:
    return {
        **_keys(facts),
        "times": [fact.at for fact in facts],
        "came": [_came(fact) for fact in facts],
        "follows": [_SAYS_FOLLOWING.get(fact.type) for fact in facts],
        "channels": [fact.data["channel"] for fact in facts],
        "accounts": [fact.data["account_id"] for fact in facts],
        "stores": [fact.store_id for fact in facts],
        "scenes": [fact.data.get("scene") for fact in facts],
        "campaigns": [fact.data.get("campaign") for fact in facts],
        "kols": [fact.data.get("kol") for fact in facts],
    }

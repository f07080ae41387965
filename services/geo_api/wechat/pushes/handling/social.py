"""Follows, scans, menus, messages, answers to being asked: what each brings about."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from services.geo_api.wechat.accounts.notices import NoticeKind
from services.geo_api.wechat.pushes.handling.effects import (
    NOWHERE,
    Effects,
    Noticed,
    Opened,
    Sent,
    fact,
    unheard,
    windows,
)
from services.geo_api.wechat.pushes.handling.privacy import PRIVACY, obey
from services.geo_api.wechat.scenes.repository import Key, Origin
from services.geo_api.wechat.users.domain import Answer, Following, Trigger
from shared.contracts.events import EventType
from shared.ids import named_uuid
from shared.wechat import pushes
from shared.wechat.pushes import SubscriptionAnswer

GRANT_NAMESPACE = UUID("b7c1d7a4-0f52-5c38-8d7e-2f1a90c4e3d5")
"""Namespace of the ids of grants, which are derived from their push."""

MAX_TEXT = 200
ACCEPTED, REJECTED = "accept", "reject"

Scenes = Mapping[Key, Origin]
_Handler = Callable[[Opened, Any, Scenes], Effects]


def effects_of(opened: Opened, scenes: Scenes) -> Effects:
    """What a push brings about, besides a check-in; ``scenes`` are those of ``scene_of``."""
    if opened.identity is None or opened.row.subject_id is None:
        return _of_nobody(opened)
    if isinstance(opened.push, PRIVACY):
        return obey(opened, opened.push)
    handler = _HANDLERS.get(type(opened.push))
    return handler(opened, opened.push, scenes) if handler else unheard()


def scene_of(opened: Opened) -> Key | None:
    """The scene by which somebody came, if this push tells of one; none is longer than a text."""
    push = opened.push
    if not isinstance(push, pushes.Subscribed | pushes.Scanned) or not push.scene:
        return None
    return (opened.account.account_id, push.scene) if len(push.scene) <= MAX_TEXT else None


def _of_nobody(opened: Opened) -> Effects:
    """A privacy event has to be obeyed, and somebody has to find out whom it is about."""
    if not isinstance(opened.push, PRIVACY):
        return unheard("names_nobody")
    detail = f"A push {opened.push.envelope.kind} names nobody whom the account can know."
    effects = unheard("names_nobody")
    effects.notices = [Noticed(NoticeKind.PUSH_INCOMPLETE, detail)]
    return effects


def _origin(opened: Opened, scenes: Scenes) -> tuple[str | None, Origin]:
    key = scene_of(opened)
    return (None, NOWHERE) if key is None else (key[1], scenes.get(key, NOWHERE))


def _subscribed(opened: Opened, _push: pushes.Subscribed, scenes: Scenes) -> Effects:
    scene, origin = _origin(opened, scenes)
    return Effects(
        facts=[fact(opened, EventType.SOCIAL_FOLLOWED, {}, scene=scene, origin=origin)],
        followings=[_following(opened, follows=True)],
        windows=windows(opened, Trigger.FOLLOW),
    )


def _unsubscribed(opened: Opened, _push: pushes.Unsubscribed, _scenes: Scenes) -> Effects:
    return Effects(
        facts=[fact(opened, EventType.SOCIAL_UNFOLLOWED, {})],
        followings=[_following(opened, follows=False)],
    )


def _following(opened: Opened, *, follows: bool) -> Following:
    at = opened.row.occurred_at
    return Following(opened.subject_id, opened.account.account_id, follows, at)


def _scanned(opened: Opened, _push: pushes.Scanned, scenes: Scenes) -> Effects:
    scene, origin = _origin(opened, scenes)
    return Effects(
        facts=[fact(opened, EventType.SOCIAL_SCANNED, {}, scene=scene, origin=origin)],
        windows=windows(opened, Trigger.SCAN),
    )


def _menu(opened: Opened, key: str) -> list[Any]:
    data = {"event": _event(opened), "key": key[:MAX_TEXT]}
    return [fact(opened, EventType.SOCIAL_MENU_USED, data)]


def _clicked(opened: Opened, push: pushes.MenuClicked, _scenes: Scenes) -> Effects:
    return Effects(facts=_menu(opened, push.key), windows=windows(opened, Trigger.MENU))


def _viewed(opened: Opened, push: pushes.MenuViewed, _scenes: Scenes) -> Effects:
    """Opens no window: WeChat's documentation names clicks and the two scans only."""
    return Effects(facts=_menu(opened, push.url))


def _code_scanned(opened: Opened, push: pushes.CodeScanned, _scenes: Scenes) -> Effects:
    """What was printed there is not passed on: it is hostile input, or a store's code."""
    return Effects(facts=_menu(opened, push.key), windows=windows(opened, Trigger.MENU))


def _selected(opened: Opened, push: pushes.LocationSelected, _scenes: Scenes) -> Effects:
    return Effects(facts=_menu(opened, push.key))


def _message(opened: Opened, push: pushes.Push, _scenes: Scenes) -> Effects:
    data = {"kind": push.envelope.kind}
    return Effects(
        facts=[fact(opened, EventType.SOCIAL_MESSAGE_RECEIVED, data)],
        windows=windows(opened, Trigger.MESSAGE),
    )


def _reported(_opened: Opened, _push: pushes.LocationReport, _scenes: Scenes) -> Effects:
    """A check-in and nothing else; it comes every 5 s, and opens no window."""
    return Effects()


def _entered_chat(opened: Opened, _push: pushes.EnteredChat, _scenes: Scenes) -> Effects:
    return Effects(facts=_event_fact(opened), windows=windows(opened, Trigger.CHAT_ENTERED))


def _happened(opened: Opened, _push: pushes.Push, _scenes: Scenes) -> Effects:
    return Effects(facts=_event_fact(opened))


def _event_fact(opened: Opened) -> list[Any]:
    return [fact(opened, EventType.SOCIAL_EVENT, {"event": _event(opened)})]


def _event(opened: Opened) -> str:
    return opened.push.envelope.kind.removeprefix("event:")


def _answered(opened: Opened, push: pushes.SubscriptionsAnswered, _scenes: Scenes) -> Effects:
    """Each acceptance permits one message; a no to being asked takes nothing back."""
    granted = [_answer(opened, n, one) for n, one in enumerate(push.answers) if _accepts(one)]
    return Effects(facts=_subscription_facts(opened, push.answers), answers=granted)


def _changed(opened: Opened, push: pushes.SubscriptionsChanged, _scenes: Scenes) -> Effects:
    """Only refusals count here: a setting that is on permits no message by itself."""
    refused = [_answer(opened, n, one) for n, one in enumerate(push.changes) if not _accepts(one)]
    return Effects(facts=_subscription_facts(opened, push.changes), answers=refused)


def _accepts(answer: SubscriptionAnswer) -> bool:
    return answer.status == ACCEPTED


def _answer(opened: Opened, place: int, answer: SubscriptionAnswer) -> Answer:
    return Answer(
        subject_id=opened.subject_id,
        account_id=opened.account.account_id,
        template_id=answer.template_id,
        grant_id=named_uuid(GRANT_NAMESPACE, f"{opened.row.push_id}/{place}"),
        granted=_accepts(answer),
        at=opened.row.occurred_at,
    )


def _subscription_facts(opened: Opened, answers: tuple[SubscriptionAnswer, ...]) -> list[Any]:
    return [
        fact(
            opened,
            EventType.SOCIAL_SUBSCRIPTION_CHANGED,
            {"template_id": one.template_id, "status": one.status[:MAX_TEXT]},
            key=f"{opened.row.push_id}/{place}",
        )
        for place, one in enumerate(answers)
        if one.status
    ]


def _sent(opened: Opened, push: pushes.SubscriptionsSent, _scenes: Scenes) -> Effects:
    """The timeline learns of it from the message that was sent."""
    results = [
        Sent(
            opened.account.account_id,
            one.message_id,
            one.error_code == 0,
            one.status[:MAX_TEXT],
            opened.row.occurred_at,
        )
        for one in push.results
        if one.message_id is not None
    ]
    return Effects(sent=results)


def _store_checked(_opened: Opened, push: pushes.StoreChecked, _scenes: Scenes) -> Effects:
    """Who submitted the store is no customer."""
    if push.passed:
        return Effects(sees=False)
    detail = f"WeChat refused store {push.store_id[:64]}: {push.message[:MAX_TEXT]}"
    return Effects(sees=False, notices=[Noticed(NoticeKind.STORE_REFUSED, detail)])


_HANDLERS: Mapping[type[pushes.Push], _Handler] = {
    pushes.Subscribed: _subscribed,
    pushes.Unsubscribed: _unsubscribed,
    pushes.Scanned: _scanned,
    pushes.MenuClicked: _clicked,
    pushes.MenuViewed: _viewed,
    pushes.CodeScanned: _code_scanned,
    pushes.LocationSelected: _selected,
    pushes.LocationReport: _reported,
    pushes.LocationMessage: _message,
    pushes.TextMessage: _message,
    pushes.MediaMessage: _message,
    pushes.EnteredChat: _entered_chat,
    pushes.SubscriptionsAnswered: _answered,
    pushes.SubscriptionsChanged: _changed,
    pushes.SubscriptionsSent: _sent,
    pushes.StoreChecked: _store_checked,
    **dict.fromkeys(
        (
            pushes.CardReceived,
            pushes.CardUsed,
            pushes.MemberCardSubmitted,
            pushes.BeaconShaken,
            pushes.WifiConnected,
        ),
        _happened,
    ),
}

"""The stand-in's things as JSON; it keeps no secrets from its own user."""

from dataclasses import asdict
from typing import Any

from wechat_sandbox.accounts import Account
from wechat_sandbox.people import Fan, Person
from wechat_sandbox.pushing import Push
from wechat_sandbox.world import World


def show_account(account: Account) -> dict[str, Any]:
    return asdict(account)


def show_person(world: World, person: Person) -> dict[str, Any]:
    fans = {
        account_id: show_fan(world, world.account(account_id), person.name, fan)
        for account_id, fan in person.fans.items()
    }
    return {"name": person.name, "phone": person.phone, "at": fans}


def show_fan(world: World, account: Account, name: str, fan: Fan) -> dict[str, Any]:
    now = world.clock.now()
    windows = [window for window in fan.windows.values() if window.closes_at > now]
    return {
        "openid": fan.openid,
        "unionid": world.unionid(name, account),
        "follows": fan.follows,
        "blocked": fan.blocked,
        "cancelled": fan.cancelled,
        "grants": {template: left for template, left in fan.grants.items() if left},
        "windows": [
            {"why": w.why, "closes_in_s": w.closes_at - now, "left": w.left} for w in windows
        ],
        "messages": len(fan.inbox),
    }


def show_push(push: Push) -> dict[str, Any]:
    return {
        "number": push.number,
        "account": push.account_id,
        "state": push.state,
        "document": push.document,
        "query": dict(push.sealed.query),
        "attempts": [asdict(attempt) for attempt in push.attempts],
        "alarm": push.alarm,
        "reply": None if push.reply is None else push.reply.decode("utf-8", "replace"),
    }

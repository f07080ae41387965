"""``/sandbox``: what the stand-in's own user orders and looks at."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from wechat_sandbox.acts import Stage, Told
from wechat_sandbox.answering import ENDPOINTS
from wechat_sandbox.control_forms import (
    AccountIn,
    ActIn,
    ClockIn,
    FaultIn,
    PersonIn,
    PushIn,
    PushSettingsIn,
)
from wechat_sandbox.faults import Fault
from wechat_sandbox.refusals import NotPossible
from wechat_sandbox.showing import show_account, show_fan, show_person, show_push
from wechat_sandbox.verifying import verify_callback
from wechat_sandbox.world import World

router = APIRouter(prefix="/sandbox")

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Limit = Annotated[int, Query(ge=1, le=10_000)]
_PATIENCE_S = 30.0


def _world(request: Request) -> World:
    world = request.app.state.world
    assert isinstance(world, World)  # noqa: S101 - set by create_app
    return world


@router.get("")
async def overview(request: Request) -> Told:
    """What there is, and the addresses that are answered."""
    world = _world(request)
    return {
        "stamp": _moment(world.clock.stamp()),
        "now": _moment(world.clock.now()),
        "accounts": sorted(world.accounts),
        "people": sorted(world.people),
        "pushes": len(world.pusher.pushes),
        "faults": len(world.faults.ordered),
        "api": [f"{one.method} {one.path}" for one in ENDPOINTS],
    }


@router.get("/accounts")
async def list_accounts(request: Request) -> Told:
    return {"items": [show_account(one) for one in _world(request).accounts.values()]}


@router.put("/accounts/{account_id}")
async def put_account(request: Request, account_id: Name, body: AccountIn) -> Told:
    """Add an account or change it; what is left out stays, or is made up for a new one."""
    account = _world(request).put_account(account_id, **body.model_dump(exclude_unset=True))
    return show_account(account)


@router.get("/accounts/{account_id}")
async def get_account(request: Request, account_id: Name) -> Told:
    return show_account(_world(request).account(account_id))


@router.post("/accounts/{account_id}/verification")
async def verify(request: Request, account_id: Name) -> Told:
    """What the console's "submit" does: ask the callback for the echo of a signed GET."""
    world = _world(request)
    return await verify_callback(world, world.account(account_id), request.app.state.client)


@router.post("/accounts/{account_id}/revoke-tokens")
async def revoke_tokens(request: Request, account_id: Name) -> Told:
    """Kill all access tokens of the account, as a reset of its secret does."""
    world = _world(request)
    return {"revoked": world.tokens.revoke(world.account(account_id).account_id)}


@router.put("/people/{name}")
async def put_person(request: Request, name: Name, body: PersonIn) -> Told:
    world = _world(request)
    return show_person(world, world.put_person(name, body.phone))


@router.get("/people/{name}")
async def get_person(request: Request, name: Name) -> Told:
    world = _world(request)
    return show_person(world, world.person(name))


@router.get("/people")
async def list_people(request: Request) -> Told:
    world = _world(request)
    return {"items": [show_person(world, person) for person in world.people.values()]}


@router.post("/people/{name}/acts")
async def act(request: Request, name: Name, body: ActIn) -> Told:
    """Let the person do something; what it pushes is on its way when this is answered."""
    world = _world(request)
    account = world.account(body.account)
    fan = world.fan(name, account)
    if fan.cancelled:
        raise NotPossible(f"{name} has closed the WeChat account.")
    return body.perform(Stage(world, account, name, fan))


@router.get("/people/{name}/inbox")
async def inbox(request: Request, name: Name, account: str | None = None) -> Told:
    """The messages that reached the person, oldest first, each with its account."""
    fans = _world(request).person(name).fans
    found = [
        {"account": account_id, **message}
        for account_id, fan in fans.items()
        if account in (None, account_id)
        for message in fan.inbox
    ]
    return {"items": sorted(found, key=lambda message: message["at"])}


@router.get("/people/{name}/at/{account_id}")
async def get_fan(request: Request, name: Name, account_id: Name) -> Told:
    """The person as one account knows them: openid, grants that are left, open windows."""
    world = _world(request)
    account = world.account(account_id)
    return show_fan(world, account, name, world.fan(name, account))


@router.post("/pushes")
async def push(request: Request, body: PushIn) -> Told:
    """Push any document; ``signed_at`` signs it with another time than the present one."""
    world = _world(request)
    account = world.account(body.account)
    if account.callback_url is None:
        raise NotPossible(f"{body.account} has no callback_url.")
    try:
        pushed = world.pusher.push(account, dict(body.document), body.signed_at)
    except ValueError as error:
        raise NotPossible(f"This cannot be written as {account.format}: {error}.") from error
    return show_push(pushed)


@router.get("/pushes")
async def list_pushes(
    request: Request, account: str | None = None, state: str | None = None, limit: Limit = 100
) -> Told:
    """The newest pushes first, and what became of each attempt."""
    world = _world(request)
    found = [
        show_push(one)
        for one in reversed(world.pusher.pushes)
        if account in (None, one.account_id) and state in (None, one.state)
    ]
    paused = {name: world.pusher.paused_until(name) for name in world.accounts}
    return {
        "items": found[:limit],
        "paused": {name: _moment(at) for name, at in paused.items() if at is not None},
    }


@router.post("/pushes/{number}/repetition")
async def repeat(request: Request, number: int) -> Told:
    """Send a push once more with the same parameters."""
    pusher = _world(request).pusher
    known = next((one for one in pusher.pushes if one.number == number), None)
    if known is None:
        raise NotPossible(f"There is no push {number}.")
    pusher.repeat(_world(request).account(known.account_id), known)
    return show_push(known)


@router.post("/pushes/settled")
async def settle(
    request: Request, within_s: Annotated[float, Query(gt=0, le=600)] = _PATIENCE_S
) -> Told:
    """Wait until no push is on its way."""
    return {"settled": await _world(request).pusher.settle(within_s)}


@router.patch("/push-settings")
async def push_settings(request: Request, body: PushSettingsIn) -> Told:
    settings = _world(request).pusher.settings
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(settings, name, value)
    return asdict(settings)


@router.post("/faults")
async def order_fault(request: Request, body: FaultIn) -> Told:
    """Order a fault for the coming calls whose address begins with ``path``."""
    world = _world(request)
    world.faults.ordered.append(Fault(**body.model_dump()))
    return await list_faults(request)


@router.get("/faults")
async def list_faults(request: Request) -> Told:
    return {"items": [asdict(fault) for fault in _world(request).faults.ordered]}


@router.delete("/faults")
async def forget_faults(request: Request) -> Told:
    _world(request).faults.ordered.clear()
    return await list_faults(request)


@router.post("/clock")
async def move_clock(request: Request, body: ClockIn) -> Told:
    """``advance_s`` lets time pass for all that ages; ``now`` sets the clock, pushes included."""
    clock = _world(request).clock
    if body.now is not None:
        clock.set(body.now.timestamp())
    clock.advance(body.advance_s)
    return {"stamp": _moment(clock.stamp()), "now": _moment(clock.now())}


@router.get("/calls")
async def list_calls(request: Request, path: str = "/", limit: Limit = 100) -> Told:
    """The newest calls of WeChat's API first, without their secrets."""
    found: list[dict[str, Any]] = [
        asdict(call) for call in reversed(_world(request).calls) if call.path.startswith(path)
    ]
    return {"total": len(found), "items": found[:limit]}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()

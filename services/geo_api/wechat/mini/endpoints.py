"""HTTP of mini-programs: a shared phone number, a scanned scene. Logins are ``POST /v1/sessions``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.geo_api.wechat.accounts.domain import AccountUnknown
from services.geo_api.wechat.accounts.endpoints import AccountId
from services.geo_api.wechat.accounts.troubles import (
    AccountNotInOrder,
    NotOfThisAccount,
    WeChatAway,
)
from services.geo_api.wechat.mini import phones, scans
from services.geo_api.wechat.mini.domain import NotLoggedIn
from services.geo_api.wechat.mini.schemas import PhoneIn, PhoneOut, ScanIn, ScanOut
from services.geo_api.wechat.tools import WeChatTools
from shared.access import allow
from shared.auth import Principal, Role
from shared.errors import Malformed
from shared.idempotency import KeyReused
from shared.problems import documented

router = APIRouter(prefix="/v1/wechat/{account_id}", tags=["wechat mini-programs"])

Member = Annotated[Principal, allow(Role.MEMBER)]


def _tools(request: Request) -> WeChatTools:
    tools: WeChatTools = request.app.state.wechat
    return tools


Tools = Annotated[WeChatTools, Depends(_tools)]


@router.post(
    "/phone",
    responses=documented(
        Malformed, AccountUnknown, NotLoggedIn, NotOfThisAccount, WeChatAway, AccountNotInOrder
    ),
)
async def share_phone(
    account_id: AccountId, body: PhoneIn, caller: Member, tools: Tools
) -> PhoneOut:
    """Give the person's own phone number, by the code of the button getPhoneNumber.

    WeChat vouches for it, so it counts as proven. A code counts once and names the request: sent
    again within a day it gets the same answer. Nothing tells whether anybody was known by it.
    """
    assert caller.subject_id is not None  # noqa: S101 - every member token has it
    account = tools.accounts.find(account_id)
    shared = phones.Shared(account, body.code, caller, caller.subject_id)
    return PhoneOut(**await phones.share_phone(tools, shared))


@router.post(
    "/scans",
    status_code=201,
    responses={
        200: {"model": ScanOut, "description": "Repeated: the same answer"},
        **documented(Malformed, AccountUnknown, NotOfThisAccount, KeyReused),
    },
)
async def record_scan(
    account_id: AccountId, body: ScanIn, caller: Member, tools: Tools, response: Response
) -> ScanOut:
    """Tell by which code somebody came: 201 the first time, 200 with the same answer after.

    The answer has the store that the code leads to, and an invitation for whoever is no member yet.
    It is no proof of being there, and needs no consent to be located.
    """
    assert caller.subject_id is not None  # noqa: S101 - every member token has it
    account = tools.accounts.find(account_id)
    scan = scans.Scan(account, body.id, body.scene, caller, caller.subject_id)
    recorded = await scans.record(tools, scan)
    response.status_code = 200 if recorded.repeated else 201
    return ScanOut.of(recorded)

"""HTTP of accounts, their check, and notices."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from services.geo_api.places.domain import Outcome, VersionChanged
from services.geo_api.places.endpoints.common import Now
from services.geo_api.places.preconditions import IfVersion, etag
from services.geo_api.wechat.accounts import notices, service
from services.geo_api.wechat.accounts.checking import Verdict
from services.geo_api.wechat.accounts.domain import AccountUnknown, AppTaken, OtherApp
from services.geo_api.wechat.accounts.notices import NoticeUnknown
from services.geo_api.wechat.accounts.repository import AccountRows
from services.geo_api.wechat.accounts.schemas import AccountIn, AccountOut, NoticeOut
from services.geo_api.wechat.accounts.self_check import SelfCheck
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Database, Session
from shared.errors import Malformed
from shared.ids import Slug
from shared.pagination import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    encode_cursor,
    last_id,
    moment_and_uuid,
)
from shared.problems import documented

router = APIRouter(prefix="/v1/wechat", tags=["wechat accounts"])

MayRead = Annotated[Principal, allow(Role.SERVER, Role.MARKETER)]
MayWrite = Annotated[Principal, allow(Role.SERVER)]
AccountId = Annotated[Slug, Path(description="The operator's own id of the account")]


def _rows(request: Request) -> AccountRows:
    return AccountRows(request.app.state.keys.storage)


def _public_url(request: Request) -> str | None:
    url: str | None = request.app.state.settings.geo_public_url
    return url


Rows = Annotated[AccountRows, Depends(_rows)]
PublicUrl = Annotated[str | None, Depends(_public_url)]


@router.put(
    "/accounts/{account_id}",
    responses={
        201: {"model": AccountOut, "description": "Created"},
        **documented(Malformed, AppTaken, OtherApp, VersionChanged),
    },
)
async def put_account(
    account_id: AccountId,
    body: AccountIn,
    *,
    _: MayWrite,
    now: Now,
    rows: Rows,
    public_url: PublicUrl,
    condition: IfVersion,
    session: Session,
    response: Response,
) -> AccountOut:
    """Create or change an account: 201 the first time, 200 after; all processes know in a second.

    A secret that is left out stays as it is. The same content again makes no new version. A closed
    account opens again, for the same app.
    """
    account, outcome = await service.put(
        await session.connection(), rows, account_id, (body.content(), body.secrets()), now,
        condition,
    )  # fmt: skip
    response.headers["ETag"] = etag(account.version)
    response.status_code = 201 if outcome is Outcome.CREATED else 200
    return AccountOut.of(account, public_url)


@router.get("/accounts/{account_id}", responses=documented(AccountUnknown))
async def get_account(
    account_id: AccountId,
    _: MayRead,
    rows: Rows,
    public_url: PublicUrl,
    session: Session,
    response: Response,
) -> AccountOut:
    """An account, closed ones too, without its secrets; the ETag is its version."""
    account = await service.read(await session.connection(), rows, account_id)
    response.headers["ETag"] = etag(account.version)
    return AccountOut.of(account, public_url)


@router.delete(
    "/accounts/{account_id}",
    status_code=204,
    responses=documented(AccountUnknown, VersionChanged),
)
async def delete_account(
    account_id: AccountId,
    _: MayWrite,
    now: Now,
    rows: Rows,
    condition: IfVersion,
    session: Session,
) -> None:
    """Close an account and destroy its secrets: its pushes are refused, nothing is sent by it."""
    await service.close(await session.connection(), rows, account_id, now, condition)


@router.get("/accounts", responses=documented(Malformed))
async def list_accounts(
    _: MayRead,
    rows: Rows,
    public_url: PublicUrl,
    session: Session,
    *,
    closed: Annotated[bool, Query(description="Closed ones too")] = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[AccountOut]:
    """Accounts by id."""
    found = await rows.list_after(
        await session.connection(), last_id(cursor), limit + 1, with_closed=closed
    )
    shown = found[:limit]
    return Page(
        items=[AccountOut.of(account, public_url) for account in shown],
        next_cursor=encode_cursor(shown[-1].account_id) if len(found) > limit else None,
    )


class FindingOut(BaseModel):
    """``do`` is the next step; ``errcode`` and ``rid`` are WeChat's, where it refused."""

    name: str
    verdict: Verdict
    says: str
    do: str | None
    errcode: int | None
    rid: str | None


class CheckOut(BaseModel):
    """``ok`` unless something is wrong; what is wrong comes first."""

    account_id: str
    ok: bool
    checked_at: datetime
    findings: list[FindingOut]


@router.post("/accounts/{account_id}/check", responses=documented(AccountUnknown))
async def check_account(
    request: Request, account_id: AccountId, _: MayWrite, now: Now, rows: Rows
) -> CheckOut:
    """Look at an account's record, ask WeChat about it, and call its callback from outside.

    It takes some seconds where something does not answer, and changes nothing at WeChat.
    """
    state = request.app.state
    database: Database = state.database
    async with database.begin() as connection:
        account = await service.read(connection, rows, account_id)
    check = SelfCheck(
        state.wechat.client, state.wechat.probe, state.clock, state.settings.geo_public_url
    )
    findings = await check.of(account)
    return CheckOut(
        account_id=account_id,
        ok=not any(finding.verdict is Verdict.WRONG for finding in findings),
        checked_at=now,
        findings=[FindingOut(**asdict(finding)) for finding in findings],
    )


@router.get("/notices", responses=documented(Malformed))
async def list_notices(
    _: MayRead,
    session: Session,
    *,
    account_id: Annotated[Slug | None, Query(description="Of this account only")] = None,
    settled: Annotated[bool, Query(description="Settled ones too")] = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[NoticeOut]:
    """What an operator should look at, the newest first."""
    found = await notices.list_notices(
        await session.connection(),
        account_id,
        moment_and_uuid(cursor),
        limit + 1,
        with_settled=settled,
    )
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    return Page(
        items=[NoticeOut.of(notice) for notice in shown],
        next_cursor=last and encode_cursor(last.first_at, last.notice_id),
    )


@router.post("/notices/{notice_id}/settlement", responses=documented(NoticeUnknown))
async def settle_notice(notice_id: UUID, _: MayWrite, now: Now, session: Session) -> NoticeOut:
    """Say that it was seen to. Again changes nothing; what happens anew makes a new notice."""
    return NoticeOut.of(await notices.settle(await session.connection(), notice_id, now))

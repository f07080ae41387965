"""HTTP of the ledger: joining people, taking it back, and what waits for human eyes."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.member_api.answers import Asked, answer_once
from services.member_api.context import Context, InContext
from services.member_api.cursors import uuids_of
from services.member_api.people import ledger, service
from services.member_api.people.domain import (
    AlreadyOnePerson,
    MergeNotFound,
    MergeRefused,
    MergeWish,
    PersonNotFound,
)
from services.member_api.people.ledger import MergeEntry
from services.member_api.people.schemas import (
    LedgerEntryOut,
    MergeIn,
    MergeOut,
    MergeReviewOut,
    PersonRefIn,
)
from services.member_api.transactions import in_transaction
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.idempotency import IdempotencyKey
from shared.identity import subject_id
from shared.pagination import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    encode_cursor,
)
from shared.problems import documented

router = APIRouter(prefix="/v1", tags=["people"])

Keeper = Annotated[Principal, allow(Role.SERVER, Role.MARKETER)]


@router.post(
    "/people/merge",
    status_code=201,
    response_model=MergeOut,
    responses=documented(PersonNotFound, AlreadyOnePerson, MergeRefused),
)
async def merge_people(
    request: Request,
    body: MergeIn,
    key: IdempotencyKey,
    caller: Annotated[Principal, allow(Role.SERVER, Role.MARKETER)],
    context: InContext,
) -> Response:
    """Make one person of two. It can be taken back exactly, whatever happens in between."""

    async def act(connection: AsyncConnection) -> tuple[int, BaseModel]:
        one, other = [
            await _anchor(connection, context, ref, f"/people/{index}/identity")
            for index, ref in enumerate(body.people)
        ]
        if one == other:
            raise AlreadyOnePerson("Both name the same person.")
        wish = MergeWish((one, other), body.evidence, caller.scope, context.clock())
        entry = await service.merge(
            connection, context.keys, wish, context.announcer, override=body.override
        )
        return 201, await _out(connection, entry)

    return await answer_once(context, Asked(request, caller.scope, key, body), act)


@router.post("/merges/{merge_id}/undo", responses=documented(MergeNotFound))
async def undo_merge(merge_id: UUID, caller: Keeper, context: InContext) -> MergeOut:
    """Take a merge back: everybody gets back exactly their own. Undone stays undone."""

    async def act(session: AsyncSession) -> MergeOut:
        connection = await session.connection()
        now = context.clock()
        undone = await service.undo(connection, merge_id, caller.scope, context.announcer, now)
        return await _out(connection, undone)

    undone = await in_transaction(context.database, act)
    context.wake()
    return undone


@router.get("/merges", responses=documented(PersonNotFound))
async def list_merges(
    _caller: Keeper,
    session: Session,
    person_id: UUID | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[LedgerEntryOut]:
    """The ledger, newest first, of everybody or one person; undone merges included."""
    before = uuids_of(cursor, parts=1)
    connection = await session.connection()
    found = await service.ledger_page(
        connection, person_id, before[0] if before else None, limit + 1
    )
    entries = [ledger_entry_out(entry) for entry in found[:limit]]
    more = len(found) > limit
    return Page(
        items=entries, next_cursor=encode_cursor(str(entries[-1].merge_id)) if more else None
    )


@router.get("/merge-reviews")
async def list_merge_reviews(
    _caller: Keeper, session: Session, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[MergeReviewOut]:
    """Merges that a rule refused and that wait for somebody to decide."""
    after = uuids_of(cursor, parts=2)
    found = await ledger.reviews(await session.connection(), after, limit + 1)
    items = [
        MergeReviewOut(
            person_ids=[row["person_a"], row["person_b"]],
            subjects=[row["subject_a"], row["subject_b"]],
            reason=row["reason"],
            evidence=row["evidence"],
            created_at=row["created_at"],
        )
        for row in found[:limit]
    ]
    more = len(found) > limit
    return Page(
        items=items, next_cursor=encode_cursor(*map(str, items[-1].subjects)) if more else None
    )


def ledger_entry_out(entry: MergeEntry) -> LedgerEntryOut:
    """An entry of the ledger as it is shown."""
    return LedgerEntryOut(subjects=[entry.subject_a, entry.subject_b], **_entry(entry))


async def _anchor(
    connection: AsyncConnection, context: Context, ref: PersonRefIn, pointer: str
) -> UUID:
    """The subject at the end of an edge: that of the identity, or by birth of the person id."""
    if ref.identity is not None:
        return subject_id(context.keys.identity, ref.identity.identity(pointer))
    assert ref.person_id is not None  # noqa: S101 - PersonRefIn lets one of both through
    return await service.anchor_of(connection, ref.person_id)


async def _out(connection: AsyncConnection, entry: MergeEntry) -> MergeOut:
    people = await service.with_siblings(connection, [entry.subject_a])
    person_id = people[entry.subject_a].person_id
    subjects = [entry.subject_a, entry.subject_b]
    return MergeOut(person_id=person_id, subjects=subjects, **_entry(entry))


def _entry(entry: MergeEntry) -> dict[str, Any]:
    return {
        "merge_id": entry.merge_id,
        "evidence": entry.evidence,
        "actor": entry.actor,
        "overrides": entry.overrides,
        "merged_at": entry.merged_at,
        "undone_at": entry.undone_at,
        "undone_by": entry.undone_by,
    }

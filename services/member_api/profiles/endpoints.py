"""HTTP of people: found by identity or id, exported and erased."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from services.member_api.context import Context, InContext
from services.member_api.people import service as people
from services.member_api.people.access import PersonRef, person_allowed
from services.member_api.people.domain import PersonNotFound
from services.member_api.profiles.erasure import erase
from services.member_api.profiles.export import export
from services.member_api.profiles.schemas import ErasedOut, ExportOut, PersonOut, SearchIn
from services.member_api.profiles.service import read_profile
from services.member_api.transactions import in_transaction
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import FieldFault, Malformed
from shared.identity import Identity, Namespace, normalise
from shared.problems import documented

router = APIRouter(prefix="/v1/people", tags=["people"])

Keeper = Annotated[Principal, allow(Role.SERVER, Role.MARKETER)]
Reader = Annotated[Principal, allow(Role.SERVER, Role.MARKETER, Role.MEMBER)]


@router.get("", responses=documented(PersonNotFound))
async def find_person(
    namespace: Namespace,
    value: Annotated[str, Query(max_length=200)],
    _caller: Keeper,
    context: InContext,
    session: Session,
    issuer: Annotated[str, Query(max_length=200)] = "",
) -> PersonOut:
    """Who is known by an identity. POST /v1/people/search keeps the value out of the address."""
    try:
        identity = normalise(namespace, issuer, value)
    except Malformed as malformed:
        faults = (FieldFault(f"?{f.pointer.strip('/')}", f.detail) for f in malformed.faults)
        raise Malformed(*faults) from None
    return await _found(session, context, identity)


@router.post("/search", responses=documented(PersonNotFound))
async def search_person(
    body: SearchIn, _caller: Keeper, context: InContext, session: Session
) -> PersonOut:
    """Who is known by an identity."""
    return await _found(session, context, body.identity())


@router.get("/{person_id}", responses=documented(PersonNotFound))
async def read_person(
    person_id: PersonRef, caller: Reader, context: InContext, session: Session
) -> PersonOut:
    """A person by its present or any former id; a member may say ``me``."""
    connection = await session.connection()
    person = await person_allowed(connection, caller, person_id)
    return PersonOut.of(await read_profile(connection, context.keys, person))


@router.get("/{person_id}/export", responses=documented(PersonNotFound))
async def export_person(
    person_id: PersonRef,
    caller: Annotated[Principal, allow(Role.SERVER, Role.MEMBER)],
    context: InContext,
    session: Session,
) -> ExportOut:
    """Everything that is held about a person, in one document."""
    connection = await session.connection()
    person = await person_allowed(connection, caller, person_id)
    return await export(connection, context.keys, person, context.clock())


@router.delete("/{person_id}", responses=documented(PersonNotFound))
async def erase_person(
    person_id: UUID, _caller: Annotated[Principal, allow(Role.SERVER)], context: InContext
) -> ErasedOut:
    """Forget a person with all its identities, here and in geo_api. It cannot be undone."""

    async def act(session: AsyncSession) -> ErasedOut:
        connection = await session.connection()
        erased_at, count = await erase(connection, context.keys, person_id, context.clock)
        return ErasedOut(erased_at=erased_at, subjects_erased=count)

    erased = await in_transaction(context.database, act)
    context.wake()
    return erased


async def _found(session: AsyncSession, context: Context, identity: Identity) -> PersonOut:
    connection = await session.connection()
    person_id = await people.find(connection, context.keys, identity)
    return PersonOut.of(await read_profile(connection, context.keys, person_id))

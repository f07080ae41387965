"""HTTP of consents: saying yes or no, taking a yes back, and reading what holds."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.member_api.answers import Asked, answer_once
from services.member_api.consents import service
from services.member_api.consents.domain import ConsentNotFound, NothingToWithdraw
from services.member_api.consents.schemas import (
    ConsentGivenOut,
    ConsentIn,
    ConsentOut,
    ConsentsOut,
    ConsentsQuery,
    ConsentTermsIn,
    HoldingOut,
)
from services.member_api.consents.service import Consents, Given, Record
from services.member_api.context import Context, InContext
from services.member_api.people import service as people
from services.member_api.people.access import PersonRef, person_allowed
from services.member_api.people.domain import Erased, PersonNotFound
from services.member_api.transactions import in_transaction
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import FieldFault, Forbidden, Malformed
from shared.idempotency import IdempotencyKey
from shared.keys import MemberKeys
from shared.pagination import encode_cursor, moment_and_uuid
from shared.problems import documented

router = APIRouter(prefix="/v1", tags=["consents"])

Owner = Annotated[Principal, allow(Role.SERVER, Role.MEMBER)]


@router.post(
    "/consents",
    status_code=201,
    response_model=ConsentGivenOut,
    responses=documented(PersonNotFound, Erased),
)
async def give_consent(
    request: Request, body: ConsentIn, key: IdempotencyKey, caller: Owner, context: InContext
) -> Response:
    """Write down a grant, denial or withdrawal of one purpose. It is never changed afterwards."""

    async def act(connection: AsyncConnection) -> tuple[int, BaseModel]:
        subject = await _whose(connection, context, body, caller)
        given = given_of(body, subject, caller.scope, context)
        consents = Consents(context.keys, context.announcer)
        record = await consents.give(connection, given, context.clock())
        return 201, await given_out(connection, consents, record)

    return await answer_once(context, Asked(request, caller.scope, key, body), act)


@router.get(
    "/people/{person_id}/consents",
    responses=documented(PersonNotFound),
)
async def read_consents(
    person_id: PersonRef,
    caller: Annotated[Principal, allow(Role.SERVER, Role.MARKETER, Role.MEMBER)],
    context: InContext,
    session: Session,
    asked: Annotated[ConsentsQuery, Query()],
) -> ConsentsOut:
    """What holds, now or as it was known ``at`` an instant, and the history, latest first."""
    connection = await session.connection()
    person = await person_allowed(connection, caller, person_id)
    subjects = [state.subject_id for state in await people.resolve(connection, person)]
    held = await service.held_at(connection, person, asked.at)
    before = moment_and_uuid(asked.cursor)
    found = await service.history(connection, subjects, before, asked.limit + 1)
    items = [record_out(record, context.keys) for record in found[: asked.limit]]
    more = len(found) > asked.limit
    return ConsentsOut(
        in_force=[
            HoldingOut(
                subject_id=subject,
                purpose=said.purpose,
                state=said.state,
                version=said.version,
                at=said.at,
                consent_id=said.consent_id,
                said_by=said.subject_id,
            )
            for subject, said in held
        ],
        items=items,
        next_cursor=encode_cursor(items[-1].at, str(items[-1].consent_id)) if more else None,
    )


@router.post(
    "/people/{person_id}/consents/{consent_id}/withdrawal",
    status_code=201,
    responses=documented(PersonNotFound, ConsentNotFound, NothingToWithdraw),
)
async def withdraw_consent(
    person_id: PersonRef,
    consent_id: UUID,
    caller: Owner,
    context: InContext,
    response: Response,
) -> ConsentOut:
    """Take a grant back, in one call and without a body. Again changes nothing and answers 200."""

    async def act(session: AsyncSession) -> tuple[Record, bool]:
        connection = await session.connection()
        person = await person_allowed(connection, caller, person_id)
        consents = Consents(context.keys, context.announcer)
        now = context.clock()
        return await consents.withdraw(connection, (person, consent_id), caller.scope, now)

    record, is_new = await in_transaction(context.database, act)
    context.wake()
    if not is_new:
        response.status_code = 200
    return record_out(record, context.keys)


def given_of(terms: ConsentTermsIn, subject: UUID, actor: str, context: Context) -> Given:
    """What a subject says, out of the body it came in."""
    return Given(
        subject,
        terms.purpose,
        terms.state,
        terms.version,
        terms.given_at or context.clock(),
        actor,
        terms.language,
        terms.channel,
        terms.proof,
        terms.confirms_person,
    )


async def given_out(
    connection: AsyncConnection, consents: Consents, record: Record
) -> ConsentGivenOut:
    """The answer to a consent, with its receipt."""
    subject = record.statement.subject_id
    states = await people.with_siblings(connection, [subject])
    receipt = await consents.receipt(connection, record.statement)
    whole = _record_out(record, consents.keys)
    return ConsentGivenOut(**whole, person_id=states[subject].person_id, receipt=receipt)


async def _whose(
    connection: AsyncConnection, context: Context, body: ConsentIn, caller: Principal
) -> UUID:
    """The subject that speaks. A server vouches for the identity it names."""
    if caller.subject_id is not None:
        if body.subject is not None or body.person_id is not None:
            raise Forbidden("A member speaks for itself: leave subject and person_id out.")
        return caller.subject_id
    if (body.subject is None) == (body.person_id is None):
        raise Malformed(FieldFault("/subject", "is needed, or else person_id"))
    if body.subject is None:
        assert body.person_id is not None  # noqa: S101 - one of both is there
        return await people.anchor_of(connection, body.person_id)
    sealed = people.seal(context.keys, body.subject.identity("/subject"))
    await people.lock_people(connection, [sealed.subject_id])
    await people.vouch_for(connection, [sealed], context.announcer, context.clock())
    return sealed.subject_id


def record_out(record: Record, keys: MemberKeys) -> ConsentOut:
    """A consent as it is shown, its proof opened."""
    return ConsentOut(**_record_out(record, keys))


def _record_out(record: Record, keys: MemberKeys) -> dict[str, Any]:
    said = record.statement
    return {
        "consent_id": said.consent_id,
        "subject_id": said.subject_id,
        "purpose": said.purpose,
        "state": said.state,
        "version": said.version,
        "at": said.at,
        "recorded_at": record.recorded_at,
        "confirms_person": said.confirms_person,
        "withdraws": record.withdraws,
        "language": record.language,
        "channel": record.channel,
        "proof": service.proof_of(keys, record),
    }

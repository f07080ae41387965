"""Whose profile a token may see: a server or marketer anybody's, a member its own."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.people import service
from services.member_api.people.domain import PersonNotFound
from shared.auth import Principal
from shared.ids import birth_person_id

PersonRef = Annotated[
    UUID | Literal["me"], Path(description="A person id, present or former; a member may say `me`")
]


async def person_allowed(
    connection: AsyncConnection, principal: Principal, ref: UUID | Literal["me"]
) -> UUID:
    """The person id that is asked for, if the caller may. Raises PersonNotFound otherwise."""
    own = principal.subject_id
    if own is None:
        if isinstance(ref, UUID):
            return ref
        raise PersonNotFound("Only a member's token has a person of its own.")
    person_id = birth_person_id(own) if isinstance(ref, str) else ref
    known = await service.with_siblings(connection, [own])
    if person_id not in {state.birth_person_id for state in known.values()}:
        raise PersonNotFound("No such person, or not yours to see.")
    return person_id

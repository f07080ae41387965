"""Giving, refusing and withdrawing consent, and reading what holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.consents import repository
from services.member_api.consents.domain import (
    ConsentNotFound,
    NothingToWithdraw,
    Statement,
    in_force,
)
from services.member_api.consents.repository import Record, forget, history
from services.member_api.people import service as people
from services.member_api.people.announcing import Announcer, Happening
from services.member_api.people.domain import Erased, is_erased
from shared.auth import mint
from shared.contracts.events import ConsentReceipt, ConsentState, EventType, Purpose
from shared.errors import FieldFault, Malformed
from shared.ids import uuid7
from shared.keys import MemberKeys

__all__ = ["Consents", "Given", "Record", "forget", "held_at", "history", "proof_of", "statements"]

RECEIPT_TTL_S = 3_600
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody says about one purpose, on behalf of a subject, as it came in."""

    subject_id: UUID
    purpose: Purpose
    state: ConsentState
    version: str
    at: datetime
    actor: str
    language: str | None = None
    channel: str | None = None
    proof: str | None = None
    confirms_person: bool = False


@dataclass(frozen=True, slots=True)
class Consents:
    """The use cases that write."""

    keys: MemberKeys
    announcer: Announcer

    async def give(
        self, connection: AsyncConnection, given: Given, now: datetime, *, pointer: str = ""
    ) -> Record:
        """Write down a grant, denial or withdrawal, tell the timeline and geo_api.

        ``pointer`` is where the consent stands in the caller's body. Raises Malformed for a
        time more than 5 minutes ahead, Erased for one at or before an erasure.
        """
        if given.at > now + CLOCK_SKEW:
            raise Malformed(FieldFault(f"{pointer}/given_at", "lies in the future"))
        await people.lock_people(connection, [given.subject_id])
        erased = await people.erasures(connection, self.keys.identity, [given.subject_id])
        if is_erased(erased, given.subject_id, given.at):
            raise Erased("The consent was given at or before an erasure; ask for it anew.")
        return await self._write(connection, given, None, now)

    async def note(self, connection: AsyncConnection, given: Given, now: datetime) -> Record:
        """Write down what a trusted party tells that a subject said, which the caller has locked.

        Its time is no later than ``now``, and after any erasure.
        """
        return await self._write(connection, given, None, now)

    async def withdraw(
        self, connection: AsyncConnection, which: tuple[UUID, UUID], actor: str, now: datetime
    ) -> tuple[Record, bool]:
        """Take a grant back; (the withdrawal, whether it is new). Once withdrawn it stays so.

        ``which`` is (person id, consent id).
        Raises PersonNotFound, ConsentNotFound, NothingToWithdraw.
        """
        person_id, consent_id = which
        subjects = [state.subject_id for state in await people.resolve(connection, person_id)]
        locked = await people.lock_people(connection, subjects)
        record = await repository.get(connection, locked, consent_id)
        if record is None:
            raise ConsentNotFound("This person has no consent with this id.")
        grant = record.statement
        if grant.state is not ConsentState.GRANTED:
            raise NothingToWithdraw(f"The consent is {grant.state} already.")
        before = await repository.withdrawal_of(connection, grant)
        if before is not None:
            return before, False
        given = Given(
            grant.subject_id, grant.purpose, ConsentState.WITHDRAWN, grant.version,
            max(now, grant.at), actor, record.language, record.channel,
        )  # fmt: skip
        return await self._write(connection, given, consent_id, now), True

    async def receipt(self, connection: AsyncConnection, statement: Statement) -> str | None:
        """A signed receipt for a check-in to carry, if a grant was said and one holds."""
        if statement.state is not ConsentState.GRANTED:
            return None
        siblings = await people.with_siblings(connection, [statement.subject_id])
        said = await statements(connection, siblings)
        holding = in_force(said, statement.subject_id).get(statement.purpose)
        if holding is None or holding.state is not ConsentState.GRANTED:
            return None
        claims = ConsentReceipt(
            sub=statement.subject_id,
            purpose=holding.purpose,
            version=holding.version,
            given_at=holding.at,
        )
        return mint(self.keys.signing, claims.model_dump(mode="json"), RECEIPT_TTL_S)

    async def _write(
        self, connection: AsyncConnection, given: Given, withdraws: UUID | None, now: datetime
    ) -> Record:
        statement = Statement(
            given.subject_id, uuid7(), given.purpose, given.state, given.version, given.at,
            frozenset() if given.confirms_person else None,
        )  # fmt: skip
        proof = None
        if given.proof is not None:
            context = _proof_context(statement.consent_id)
            proof = self.keys.storage.encrypt(given.proof.encode(), context)
        record = Record(
            statement, now, withdraws, given.language, given.channel, given.actor, proof
        )
        await repository.add(connection, record)
        await self.announcer.happened(connection, [_happening(record)], now)
        refuses = given.state is not ConsentState.GRANTED
        await self.announcer.people_changed(connection, [given.subject_id], now, urgent=refuses)
        return record


def proof_of(keys: MemberKeys, record: Record) -> str | None:
    """The proof as it was given."""
    if record.proof is None:
        return None
    return keys.storage.decrypt(record.proof, _proof_context(record.statement.consent_id)).decode()


async def statements(
    connection: AsyncConnection, subjects: Iterable[UUID], *, known_at: datetime | None = None
) -> list[Statement]:
    """All that subjects said; with ``known_at``, what was said and written down by then."""
    found = await repository.statements(connection, subjects, known_at=known_at)
    confirming = [(said, recorded_at) for said, recorded_at in found if said.confirms_person]
    persons = await people.siblings_at(connection, [(s.subject_id, at) for s, at in confirming])
    confirmed = {
        said.consent_id: replace(said, confirms=frozenset(person))
        for (said, _), person in zip(confirming, persons, strict=True)
    }
    return [confirmed.get(said.consent_id, said) for said, _ in found]


async def held_at(
    connection: AsyncConnection, person_id: UUID, at: datetime | None
) -> list[tuple[UUID, Statement]]:
    """What holds for each subject of a person, now or as it was known at an instant.

    Raises PersonNotFound.
    """
    anchor = await people.anchor_of(connection, person_id)
    if at is None:
        subjects: Sequence[UUID] = sorted(await people.with_siblings(connection, [anchor]))
    else:
        (subjects,) = await people.siblings_at(connection, [(anchor, at)])
    said = await statements(connection, subjects, known_at=at)
    return [
        (subject, statement)
        for subject in subjects
        for statement in in_force(said, subject).values()
    ]


def _happening(record: Record) -> Happening:
    said = record.statement
    data = {
        "consent_id": str(said.consent_id),
        "purpose": said.purpose.value,
        "state": said.state.value,
        "version": said.version,
        "channel": record.channel,
    }
    kind = EventType.CONSENT_CHANGED
    return Happening(kind, said.subject_id, str(said.consent_id), said.at, data=data)


def _proof_context(consent_id: UUID) -> bytes:
    return b"member.consents.proof" + consent_id.bytes

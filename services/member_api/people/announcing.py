"""What people, membership and consents have to tell, and to whom they need not know.

The timeline and the feed stand above them and import them; they speak through this protocol.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.events import EventType
from shared.ids import event_id


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that member_api itself saw happen to a subject, for its timeline."""

    type: EventType
    subject_id: UUID
    natural_key: str
    at: datetime
    store_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def event_id(self) -> UUID:
        return event_id(self.subject_id, self.type.value, self.natural_key)


class Announcer(Protocol):
    """Everything here is part of the caller's transaction."""

    async def happened(
        self, connection: AsyncConnection, happenings: Sequence[Happening], now: datetime
    ) -> None:
        """Put happenings into their timelines, each once."""

    async def people_changed(
        self,
        connection: AsyncConnection,
        subjects: Collection[UUID],
        now: datetime,
        *,
        urgent: bool = False,
    ) -> None:
        """Tell geo_api who the people of ``subjects`` are now, where that has changed.

        The caller has locked these people. ``urgent`` overtakes all other news.
        """


class Eraser(Protocol):
    """Forgetting people, which reaches into parts above those that are told to."""

    async def erase(self, connection: AsyncConnection, subjects: Collection[UUID]) -> None:
        """Erase the people of ``subjects`` in the caller's transaction, known here or not.

        geo_api is told. Raises Contended.
        """

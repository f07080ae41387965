"""What every use case of member_api is handed: its database, keys, clock and announcer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.member_api.people.announcing import Announcer, Eraser
from shared.clock import Clock
from shared.db import Database
from shared.keys import MemberKeys


@dataclass(frozen=True, slots=True)
class Context:
    """``wake`` tells the feed that something was committed."""

    database: Database
    keys: MemberKeys
    clock: Clock
    announcer: Announcer
    eraser: Eraser
    wake: Callable[[], None]


async def _context(request: Request) -> Context:
    """Raises Unavailable while it is not known that the keys are those of the database."""
    request.app.state.require_installation()
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(_context)]

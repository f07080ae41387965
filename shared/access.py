"""Who may call what: bearer tokens, roles, limits per key, revoked tokens.

Every endpoint says ``allow(...)`` or ``public()``; :func:`route_roles` reads the matrix
of role and endpoint off an app, and fails for an endpoint that says neither.
"""

import asyncio
from collections.abc import AsyncIterator, Container, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security.base import SecurityBase
from sqlalchemy import Column, DateTime, MetaData, Table, Text, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import Principal, Role, TokenVerifier
from shared.db import Database
from shared.errors import Forbidden, Unauthenticated
from shared.limits import Limiter

PRINCIPAL = "solomo.principal"
"""Where the ASGI scope holds the Principal, for the access log."""

REVOCATIONS_POLL_S = 2.0
_KEPT_PAST_EXPIRY = timedelta(minutes=5)
"""Longer than the clock skew that a verifier allows an expired token."""

_log = structlog.get_logger(__name__)


class _Allow(SecurityBase):
    """The dependency behind ``allow``; being a security scheme it stands in the OpenAPI document."""

    model = HTTPBearerModel(bearerFormat="JWT", description="`./solomo token ROLE` prints one.")
    scheme_name = "bearer"

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles

    async def __call__(self, request: Request) -> Principal:
        state, scope = request.app.state, request.scope
        verifier: TokenVerifier = state.verifier
        limiter: Limiter = state.limiter
        principal = verifier.verify(_bearer_token(scope))
        scope[PRINCIPAL] = principal
        if principal.role not in self.roles:
            names = " or ".join(sorted(self.roles))
            raise Forbidden(f"A {principal.role} token cannot do this; use one of role {names}.")
        if principal.subject_id is not None:
            limiter.take("subject", principal.subject_id.hex)
        else:
            limiter.take("key", f"{principal.role}:{principal.name}")
        return principal


class _Public:
    """The dependency behind ``public``."""

    async def __call__(self) -> None:
        return


def allow(*roles: Role) -> Any:
    """A dependency that gives the Principal and lets only these roles in.

    Use as ``principal: Annotated[Principal, allow(Role.SERVER)]``. A member's requests count against its subject, all others against their key.
    Raises ValueError without a role: whoever means everybody says ``public()``.
    """
    if not roles:
        raise ValueError("allow() needs at least one role; use public() for everybody")
    return Depends(_Allow(frozenset(roles)))


def public() -> Any:
    """Says that an endpoint is for everybody: ``dependencies=[public()]``."""
    return Depends(_Public())


def route_roles(app: FastAPI) -> dict[tuple[str, str], frozenset[Role] | None]:
    """The roles of each (method, path) of ``app``; None is everybody.

    Raises LookupError naming an endpoint that says neither ``allow`` nor ``public``.
    """
    matrix: dict[tuple[str, str], frozenset[Role] | None] = {}
    for context in iter_route_contexts(app.routes):
        if not isinstance(context.original_route, APIRoute):
            continue
        path = str(context.path)
        found = [*_marks(context.dependant)] if context.dependant is not None else []
        if not found:
            raise LookupError(f"{path} says neither allow(...) nor public()")
        allowed = [mark.roles for mark in found if isinstance(mark, _Allow)]
        roles = frozenset.intersection(*allowed) if allowed else None
        matrix |= {(method, path): roles for method in context.methods or ()}
    return matrix


def _marks(dependant: Dependant) -> Iterable[_Allow | _Public]:
    if isinstance(dependant.call, _Allow | _Public):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _marks(inner)


def _bearer_token(scope: Mapping[str, Any]) -> str:
    """Off the ASGI scope itself: a view of the headers costs 2 µs of every request."""
    header = _header(scope, b"authorization")
    if header is None:
        raise Unauthenticated("Send a token in the header Authorization: Bearer <token>.")
    scheme, _, token = header.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The header must read Authorization: Bearer <token>.")
    return token.strip()


def _header(scope: Mapping[str, Any], wanted: bytes) -> bytes | None:
    """The first of that name, which ASGI gives in small letters."""
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return None


def revoked_tokens_table(metadata: MetaData) -> Table:
    """Tokens taken back before their time, by ``jti``; of no use after ``expires_at``."""
    return Table(
        "revoked_tokens",
        metadata,
        Column("token_id", Text, primary_key=True),
        Column("revoked_at", DateTime(timezone=True), nullable=False),
        Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    )


async def revoke(session: AsyncSession, table: Table, token_id: str, expires_at: datetime) -> None:
    """Take a token back; every process knows within ``REVOCATIONS_POLL_S`` of the commit."""
    row = {"token_id": token_id, "revoked_at": datetime.now(UTC), "expires_at": expires_at}
    await session.execute(insert(table).values(row).on_conflict_do_nothing())


class Revocations(Container[str]):
    """The revoked tokens as this process knows them; give it to ``TokenVerifier.revoked``."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._token_ids: frozenset[str] = frozenset()

    def __contains__(self, token_id: object) -> bool:
        return token_id in self._token_ids

    async def refresh(self, database: Database) -> None:
        """Read the table anew, and drop from it what has expired."""
        table = self._table
        async with database.transaction() as session:
            useless_since = datetime.now(UTC) - _KEPT_PAST_EXPIRY
            await session.execute(delete(table).where(table.c.expires_at < useless_since))
            self._token_ids = frozenset(await session.scalars(select(table.c.token_id)))

    async def run(self, database: Database, *, every_s: float = REVOCATIONS_POLL_S) -> None:
        """Refresh for ever; while the database is away, what was known stays in force."""
        while True:
            await asyncio.sleep(every_s)
            await self._try_to_refresh(database)

    @asynccontextmanager
    async def followed(self, database: Database) -> AsyncIterator[None]:
        """Read before anything is answered, if the database is there, and again until the end."""
        await self._try_to_refresh(database)
        task = asyncio.create_task(self.run(database))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _try_to_refresh(self, database: Database) -> None:
        try:
            await self.refresh(database)
        except Exception as error:  # noqa: BLE001 - no trouble may end the reading for good
            _log.warning("revocations_not_read", error=type(error).__name__)

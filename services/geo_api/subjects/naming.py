"""Whose things a request asks for: a member's own, or those of the person that a caller names."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from shared.access import PRINCIPAL
from shared.auth import Principal
from shared.errors import FieldFault, Forbidden, Malformed
from shared.identity import Namespace, normalise, subject_id


def _whose(
    request: Request,
    namespace: Annotated[Namespace | None, Query(description="servers: of whom")] = None,
    issuer: Annotated[str, Query(max_length=200)] = "",
    value: Annotated[str | None, Query(max_length=200)] = None,
) -> UUID:
    caller: Principal = request.scope[PRINCIPAL]
    if caller.subject_id is not None:
        if namespace is not None or value is not None:
            raise Forbidden("A member's token shows its own things only: name nobody.")
        return caller.subject_id
    if namespace is None or value is None:
        raise Malformed(
            FieldFault("?namespace", "is needed with a server token"),
            FieldFault("?value", "is needed with a server token"),
        )
    return _identified(request, namespace, issuer, value)


def _about(
    request: Request,
    subject: Annotated[
        UUID | None,
        Query(alias="subject_id", description="as lists tell it; or name an identity"),
    ] = None,
    namespace: Annotated[Namespace | None, Query(description="of an identity")] = None,
    issuer: Annotated[str, Query(max_length=200)] = "",
    value: Annotated[str | None, Query(max_length=200)] = None,
) -> UUID:
    if subject is not None:
        if namespace is not None or value is not None:
            raise Malformed(FieldFault("?subject_id", "stands in place of an identity"))
        return subject
    if namespace is None or value is None:
        raise Malformed(FieldFault("?subject_id", "is needed, or ?namespace and ?value"))
    return _identified(request, namespace, issuer, value)


def _identified(request: Request, namespace: Namespace, issuer: str, value: str) -> UUID:
    key: bytes = request.app.state.keys.identity
    return subject_id(key, normalise(namespace, issuer, value, at="?"))


Whose = Annotated[UUID, Depends(_whose)]
"""The subject asked about: ``?namespace=&issuer=&value=`` of a server, nothing of a member.

Stands behind the parameter with ``allow(...)``, which says who calls. Raises Malformed, Forbidden.
"""

About = Annotated[UUID, Depends(_about)]
"""The subject that a caller who is nobody itself asks about: by ``?subject_id=`` or an identity.

Raises Malformed.
"""

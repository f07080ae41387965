"""Whose things a request asks for: a member's own, or those of the person a server names."""

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
    key: bytes = request.app.state.keys.identity
    return subject_id(key, normalise(namespace, issuer, value, at="?"))


Whose = Annotated[UUID, Depends(_whose)]
"""The subject asked about: ``?namespace=&issuer=&value=`` of a server, nothing of a member.

Stands behind the parameter with ``allow(...)``, which says who calls. Raises Malformed, Forbidden.
"""

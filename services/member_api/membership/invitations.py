"""Reading the invitations that geo_api signs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.member_api.membership.domain import Invited
from shared.auth import ALGORITHM
from shared.contracts.events import Invitation
from shared.errors import FieldFault, Malformed

_ISSUER = "geo"


def read_invitation(token: str, keys: KeySet, *, at: str = "/invitation") -> Invited:
    """The invitation in a token that geo_api signed, in date or not: that is the caller's to ask.

    Raises Malformed, at the JSON Pointer ``at``, for a token that is no such thing.
    """
    try:
        claims = _claims(token, keys)
        invitation = Invitation.model_validate(claims)
        return Invited(
            subject_id=invitation.sub,
            jti=invitation.jti,
            issued_at=_moment(claims, "iat"),
            expires_at=_moment(claims, "exp"),
            store_id=invitation.store_id,
            campaign=invitation.campaign,
            kol=invitation.kol,
        )
    except (JoseError, KeyError, TypeError, ValueError, OverflowError) as error:
        detail = "is no invitation of this installation: send it as it was given"
        raise Malformed(FieldFault(at, detail)) from error


def _claims(token: str, keys: KeySet) -> dict[str, Any]:
    """Raises JoseError, or ValueError for a token that another party signed."""
    decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
    signer = str(decoded.header.get("kid", "")).partition("-")[0]
    if {signer, decoded.claims.get("iss")} != {_ISSUER}:
        raise ValueError("signed by another party")
    return dict(decoded.claims)


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromtimestamp(float(claims[name]), UTC)

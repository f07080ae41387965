"""Invitations to join: signed, bound to a subject, tied to store and campaign, stateless here.

member_api takes each once (by ``jti``), so nothing needs to be stored to show one. The claims are
those of ``shared.contracts.events.Invitation``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.auth import SwiftSigner
from shared.ids import swift_uuid7

VALID_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Lead:
    """By what somebody came; ``jti`` is the invitation's, so that the same one can be shown again."""

    jti: str
    campaign: str | None
    kol: str | None


@dataclass(frozen=True, slots=True)
class ShownInvitation:
    """``url`` carries the token in its fragment, which browsers do not send to servers."""

    token: str
    url: str
    campaign: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Inviter:
    """Gives out invitations under geo_api's key. ``join_url`` is where people join."""

    signer: SwiftSigner
    join_url: str
    campaign: str

    def invite(
        self, subject_id: UUID, store_id: str | None, now: datetime, lead: Lead | None = None
    ) -> ShownInvitation:
        """An invitation given at ``now``; for the same ``lead`` and moment it is the same again."""
        campaign = (lead and lead.campaign) or self.campaign
        issued_at = int(now.timestamp())
        expires_at = issued_at + int(VALID_FOR.total_seconds())
        claims = {
            "iss": "geo",
            "aud": "sign-up",
            "iat": issued_at,
            "exp": expires_at,
            "jti": lead.jti if lead else swift_uuid7().hex,
            "sub": str(subject_id),
            "store_id": store_id,
            "campaign": campaign,
        }
        if lead and lead.kol:
            claims["kol"] = lead.kol
        token = self.signer.sign(claims)
        url = f"{self.join_url}#invitation={token}"
        return ShownInvitation(token, url, campaign, datetime.fromtimestamp(expires_at, UTC))

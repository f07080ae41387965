"""Invitations to join: signed, bound to a subject, tied to store and campaign, stateless here.

member_api takes each once (by ``jti``), so nothing needs to be stored to show one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from joserfc.jwk import OKPKey

from shared.auth import mint
from shared.contracts.events import Invitation
from shared.ids import uuid7

VALID_FOR = timedelta(hours=24)


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

    signing: OKPKey
    join_url: str
    campaign: str

    def invite(self, subject_id: UUID, store_id: str | None, now: datetime) -> ShownInvitation:
        claims = Invitation(
            sub=subject_id, jti=uuid7().hex, store_id=store_id, campaign=self.campaign
        )
        ttl_s = int(VALID_FOR.total_seconds())
        token = mint(self.signing, claims.model_dump(mode="json"), ttl_s)
        expires_at = datetime.fromtimestamp(int(now.timestamp()) + ttl_s, UTC)
        url = f"{self.join_url}#invitation={token}"
        return ShownInvitation(token, url, self.campaign, expires_at)

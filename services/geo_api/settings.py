"""Settings of geo_api, ``SOLOMO_*`` in the environment."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.addresses import Network, networks
from shared.limits import Limiter, Rate
from shared.settings import ServiceSettings
from shared.wechat.hosts import API_BASES, MP_BASE, checked_base, checked_bases


def _bases(text: str) -> str:
    return ",".join(checked_bases(text))


Base = Annotated[str, AfterValidator(checked_base)]
Bases = Annotated[str, AfterValidator(_bases)]


LOGINS_AT_ACCOUNT, LOGINS_FROM_ADDRESS = "logins at this account", "logins from this address"
"""Kinds of the limiter."""


def _networks(text: str) -> str:
    networks(text)
    return text


class GeoSettings(ServiceSettings):
    """``member_url`` is where the feed tells its facts, ``join_url`` where people join.

    ``arrival_rule`` ``plain`` takes every fix as exact: see ``docs/presence.md``. WeChat is called at
    the first of ``wechat_api_bases`` (with commas between) that answers; ``geo_public_url`` is where
    WeChat reaches geo_api, for showing and checking callbacks. ``trusted_proxies`` are those (with
    commas between) whose X-Forwarded-For says where a login comes from.
    """

    geo_database_url: str
    member_url: str = "http://127.0.0.1:8002"
    join_url: str = "http://127.0.0.1:8002/join"
    campaign: str = Field(default="check-in", max_length=64)
    database_pool: int = Field(default=16, ge=2, le=100)
    arrival_rule: Literal["default", "plain"] = "default"
    commit_lanes: int = Field(default=1, ge=1, le=8)
    wechat_api_bases: Bases = ",".join(API_BASES)
    wechat_mp_base: Base = MP_BASE
    geo_public_url: Base | None = None
    rate_logins_account_per_s: float = Field(default=100, gt=0)
    rate_logins_address_per_s: float = Field(default=5, gt=0)
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = "127.0.0.1,::1"

    @property
    def proxies(self) -> tuple[Network, ...]:
        return networks(self.trusted_proxies)

    def limiter(self) -> Limiter:
        """Logins have no token to count by: an address may use ten seconds' worth at once."""
        per_account, per_address = self.rate_logins_account_per_s, self.rate_logins_address_per_s
        rates = {
            LOGINS_AT_ACCOUNT: Rate(per_account, max(1.0, 2 * per_account)),
            LOGINS_FROM_ADDRESS: Rate(per_address, max(1.0, 10 * per_address)),
        }
        limiter = super().limiter()
        shared = {kind: rate.shared_by(self.workers) for kind, rate in rates.items()}
        return replace(limiter, rates={**limiter.rates, **shared})

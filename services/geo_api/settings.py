"""Settings of geo_api, ``SOLOMO_*`` in the environment."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.settings import ServiceSettings
from shared.wechat.hosts import API_BASES, MP_BASE, checked_base, checked_bases


def _bases(text: str) -> str:
    return ",".join(checked_bases(text))


Base = Annotated[str, AfterValidator(checked_base)]
Bases = Annotated[str, AfterValidator(_bases)]


class GeoSettings(ServiceSettings):
    """``member_url`` is where the feed tells its facts, ``join_url`` where people join.

    ``arrival_rule`` ``plain`` takes every fix as exact: see ``docs/presence.md``. WeChat is called at
    the first of ``wechat_api_bases`` (with commas between) that answers; ``geo_public_url`` is where
    WeChat reaches geo_api, for showing and checking callbacks.
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

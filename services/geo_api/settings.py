"""Settings of geo_api, ``SOLOMO_*`` in the environment."""

from typing import Literal

from pydantic import Field

from shared.settings import ServiceSettings


class GeoSettings(ServiceSettings):
    """``member_url`` is where the feed tells its facts, ``join_url`` where people join.

    ``arrival_rule`` ``plain`` takes every fix as exact: see ``docs/presence.md``.
    """

    geo_database_url: str
    member_url: str = "http://127.0.0.1:8002"
    join_url: str = "http://127.0.0.1:8002/join"
    campaign: str = Field(default="check-in", max_length=64)
    database_pool: int = Field(default=16, ge=2, le=100)
    arrival_rule: Literal["default", "plain"] = "default"
    commit_lanes: int = Field(default=1, ge=1, le=8)

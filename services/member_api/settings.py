"""Settings of member_api, ``SOLOMO_*`` in the environment."""

from pydantic import Field

from shared.settings import ServiceSettings


class MemberSettings(ServiceSettings):
    """``geo_url`` is where the feed tells who a subject is now."""

    member_database_url: str
    geo_url: str = "http://127.0.0.1:8001"
    database_pool: int = Field(default=8, ge=2, le=100)

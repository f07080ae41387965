"""Public holidays of the countries of the world, by the package ``holidays``.

Days off in lieu of one that falls on a weekend count, as do those that a law moves (China's
substituted days); half days, and days of banks or schools only, do not.
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

import holidays


@lru_cache(maxsize=4_096)
def public_holidays(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    """The names of a year's public holidays by day; codes are those of ISO 3166-1 and 3166-2."""
    found = holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False)
    return dict(found.items())


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, frozenset[str]]:
    known = holidays.list_supported_countries(include_aliases=False)
    return {country: frozenset(subdivisions) for country, subdivisions in known.items()}


def fault_of(country: str, subdivision: str | None) -> str | None:
    """Why no holidays are known of a place, if so."""
    known = _countries().get(country)
    if known is None:
        return "must be a country with known holidays by its ISO 3166-1 code, such as CN or US"
    if subdivision is not None and subdivision not in known:
        some = ", ".join(sorted(known)) or "none"
        return f"{country} has no such subdivision; known are: {some}"
    return None

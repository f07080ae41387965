"""Where a request comes from, for limits on those who have no token."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.requests import Request

Network = IPv4Network | IPv6Network
_HOUSEHOLD_BITS = 64
"""Of an IPv6 address: what one customer of a network commonly has for itself."""


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks with commas between. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def caller_of(request: Request, proxies: Sequence[Network]) -> str:
    """The address of the caller, IPv6 by its /64.

    The header X-Forwarded-For is believed as far as ``proxies`` have written it: the caller is the
    last one in it that is none of them.
    """
    found = request.client.host if request.client else ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for earlier in reversed([part.strip() for part in forwarded if part.strip()]):
        if not _is_one_of(found, proxies):
            break
        found = earlier
    return _household(found)


def _is_one_of(address: str, proxies: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in proxies)


def _household(address: str) -> str:
    """What is no address is one of all such callers."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:  # noqa: PLR2004 - the number of IPv4
        return str(parsed)
    return str(ip_network((parsed, _HOUSEHOLD_BITS), strict=False))

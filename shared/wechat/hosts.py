"""Addresses that WeChat is reached at: https, unless they are this machine's own."""

import ipaddress
from urllib.parse import urlsplit

API_BASES = ("https://api.weixin.qq.com", "https://api2.weixin.qq.com")
MP_BASE = "https://mp.weixin.qq.com"


def checked_base(address: str) -> str:
    """An address without a path, as calls are put behind it.

    Raises ValueError for anything but ``https://host`` or ``http://127.0.0.1:port``: tokens and
    secrets travel in what is sent there.
    """
    parts = urlsplit(address.strip())
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.port == 0:
        raise ValueError(f"{parts.hostname or 'this'} is not an address such as https://host")
    if parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
        raise ValueError(f"{host}: give scheme, host and port only")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{host}: must be https, for secrets are sent there")
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_bases(addresses: str) -> tuple[str, ...]:
    """Of a list with commas, in the order in which they are tried. Raises ValueError."""
    bases = tuple(checked_base(one) for one in addresses.split(",") if one.strip())
    if not bases:
        raise ValueError("at least one address is needed")
    return bases

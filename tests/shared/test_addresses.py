import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from shared.addresses import caller_of, networks

TRUSTED = networks("127.0.0.1, 10.0.0.0/8,::1")


def asked(peer: str | None, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", value.encode("latin-1", "ignore")) for value in forwarded]
    client = None if peer is None else (peer, 1234)
    return caller_of(Request({"type": "http", "headers": headers, "client": client}), TRUSTED)


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        ("10.1.2.3", ("198.51.100.1",), "198.51.100.1"),
        ("10.1.2.3", ("198.51.100.1, 203.0.113.9, 10.9.9.9",), "203.0.113.9"),
        ("10.1.2.3", ("198.51.100.1", "203.0.113.9"), "203.0.113.9"),
        ("10.1.2.3", ("10.5.5.5",), "10.5.5.5"),
        ("::1", ("2001:db8:1:2:3:4:5:6",), "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", (), "2001:db8:1:2::/64"),
        ("10.1.2.3", ("nonsense",), "unknown"),
        (None, (), "unknown"),
    ],
)
def test_the_caller_is_the_last_one_that_is_no_proxy_of_ours(
    peer: str | None, forwarded: tuple[str, ...], caller: str
) -> None:
    assert asked(peer, *forwarded) == caller


@given(st.text(max_size=60))
def test_no_header_breaks_it(header: str) -> None:
    assert asked("127.0.0.1", header)
    assert asked("203.0.113.9", header) == "203.0.113.9"


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        networks("10.0.0.0/8, proxy.example.org")

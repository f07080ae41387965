import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared.logs import configure_logging, scrubbed, withhold


@pytest.fixture(autouse=True)
def json_logs() -> Iterator[None]:
    configure_logging("info", "json")
    yield
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "field",
    [
        "latitude", "longitude", "lat", "lon", "authorization", "Authorization", "token", "code",
        "value", "phone", "secret", "set-cookie", "access_token", "home_latitude", "email",
    ],
)  # fmt: skip
def test_what_tells_where_or_who_is_withheld(
    capsys: pytest.CaptureFixture[str], field: str
) -> None:
    structlog.get_logger().info("told", **{field: "hunter2"}, store_id="s1")

    [line] = lines(capsys)
    assert "hunter2" not in str(line)
    assert line["store_id"] == "s1"


def test_it_is_withheld_at_any_depth(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("told", fix={"at": [{"lat": 40.7, "kind": "manual"}]})

    [line] = lines(capsys)
    assert line["fix"] == {"at": [{"kind": "manual"}]}


@given(
    st.recursive(
        st.just("hunter2"),
        lambda inner: st.dictionaries(st.sampled_from(["lat", "phone", "a", "b"]), inner),
    )
)
def test_no_nesting_gets_a_withheld_field_through(node: Any) -> None:
    def names(value: Any) -> set[str]:
        if not isinstance(value, dict):
            return set()
        return set(value) | {name for child in value.values() for name in names(child)}

    assert names(withhold(None, "info", {"event": "e", "node": node})) <= {
        "event", "node", "a", "b",
    }  # fmt: skip


def test_fields_that_only_sound_alike_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("told", status_code=200, route_name="x", latency_ms=3)

    [line] = lines(capsys)
    assert (line["status_code"], line["route_name"], line["latency_ms"]) == (200, "x", 3)


def test_an_exception_is_told_without_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        try:
            raise KeyError("13800138000")  # noqa: TRY301 - the cause is what is tested
        except KeyError as cause:
            raise ValueError(
                "bad row (40.7419, -73.9893) for 'ann'\n[parameters: hunter2]"
            ) from cause
    except ValueError:
        structlog.get_logger().exception("failed")

    [line] = lines(capsys)
    assert [told["type"] for told in line["exception"]] == ["ValueError", "KeyError"]
    assert line["exception"][0]["message"] == "bad row … for …"
    for secret in ("13800138000", "40.7419", "73.9893", "ann'", "hunter2"):
        assert secret not in str(line)


def test_libraries_are_logged_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("somebody").warning("could not send '%s' to 10.0.0.7", "hunter2")

    [line] = lines(capsys)
    assert line["level"] == "warning"
    assert line["event"] == "could not send … to #.#"


def test_calls_between_the_services_are_not_logged_with_their_addresses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET http://member/v1/people?value=1")

    assert lines(capsys) == []


async def test_a_task_that_failed_unseen_gives_nothing_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task failed", "exception": RuntimeError("at 40.7419 of 'hunter2'")}
    )

    written = str(lines(capsys))
    assert "RuntimeError" in written
    assert "40.7419" not in written
    assert "hunter2" not in written


def test_configuring_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")

    structlog.get_logger().info("once")

    assert len(lines(capsys)) == 1


def test_levels_below_the_chosen_one_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", "json")

    structlog.get_logger().info("quiet")
    logging.getLogger("somebody").info("quiet")

    assert lines(capsys) == []


def test_people_may_read_logs_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")

    structlog.get_logger().info("hello", store_id="s1", token="hunter2")

    written = capsys.readouterr().out
    assert "hello" in written
    assert "s1" in written
    assert "hunter2" not in written


@given(st.text(), st.floats(min_value=-180, max_value=180))
def test_no_number_survives_scrubbing(text: str, degrees: float) -> None:
    assert not any(character in "0123456789" for character in scrubbed(f"{text} {degrees:.6f}"))


@dataclass(frozen=True)
class Holder:
    """Of a secret that its repr keeps to itself."""

    name: str
    secret: str = field(repr=False)


def test_a_dataclass_is_told_by_its_repr(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("told", holder=Holder("ann", "hunter2"))

    [line] = lines(capsys)
    assert line["holder"] == "Holder(name='ann')"


@pytest.mark.parametrize("name", ["access_token", "secret", "js_code", "ticket", "openid"])
def test_secrets_within_addresses_are_blotted_out_wherever_they_stand(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    address = f"https://api.example/x?a=1&{name}=hunter2&b=2"
    structlog.get_logger().info(f"calling {address}", seen={"at": [address]})
    logging.getLogger("uvicorn.error").warning("GET %s", address)

    [ours, theirs] = lines(capsys)
    assert ours["event"] == f"calling https://api.example/x?a=1&{name}=…&b=2"
    assert "hunter2" not in f"{ours}{theirs}"


def test_httpx_s_own_lines_are_blotted_out_before_any_handler_has_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "httpx"):
        logging.getLogger("httpx").info("HTTP Request: %s %s", "GET", "http://a/?secret=hunter2")
    assert [record.getMessage() for record in caplog.records] == [
        "HTTP Request: GET http://a/?secret=…"
    ]

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wechat.answers import (
    WeChatRefused,
    WeChatUnreachable,
    without_rid,
)
from shared.wechat.calling import BASE_RESTS_S, Call, Caller, read_answer
from shared.wechat.hosts import checked_base, checked_bases
from tests.shared.wechat.fake import NOW, TEA, Handler

# Addresses, failover, time


@pytest.mark.parametrize(
    "address",
    ["http://api.weixin.qq.com", "http://10.0.0.1:80", "ftp://a.example", "a.example", "https://",
     "https://u:p@a.example", "https://a.example/path", "https://a.example?x=1",
     "http://127.0.0.1.evil.example"],
)  # fmt: skip
def test_secrets_are_sent_over_https_only(address: str) -> None:
    with pytest.raises(ValueError, match=r"https|address|only"):
        checked_base(address)


@pytest.mark.parametrize(
    "address",
    ["https://a.example", "http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost"],
)
def test_this_machine_itself_needs_no_https(address: str) -> None:
    assert checked_base(f"{address}/") == address
    assert checked_bases(f"{address}, {address}/") == (address, address)


def caller(handler: Handler, *, total_s: float = 5.0, seconds: list[float] | None = None) -> Caller:
    return Caller(
        ("https://a.example", "https://b.example"),
        transport=httpx.MockTransport(handler),
        clock=lambda: NOW,
        total_s=total_s,
        monotonic=lambda: (seconds or [0.0])[0],
    )


async def test_another_address_serves_while_the_first_is_not_reached() -> None:
    asked: list[str] = []
    seconds = [0.0]

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        if request.url.host == "a.example":
            raise httpx.ConnectError("no route")
        return httpx.Response(200, json={})

    calls = caller(handler, seconds=seconds)
    send = Call("/cgi-bin/message/custom/send", body={})
    await calls.call(send)
    await calls.call(send)
    assert asked == ["a.example", "b.example", "b.example"]

    seconds[0] = BASE_RESTS_S + 1
    await calls.call(send)
    assert asked[3:] == ["a.example", "b.example"]
    await calls.close()


@pytest.mark.parametrize("may_repeat", [True, False])
@pytest.mark.parametrize(
    "failure", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), 502]
)
async def test_what_may_have_been_done_is_asked_elsewhere_only_if_it_may_be_repeated(
    failure: Exception | int, may_repeat: bool
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "b.example":
            return httpx.Response(200, json={})
        if isinstance(failure, int):
            return httpx.Response(failure, text="<html>Bad gateway</html>")
        raise failure

    calls = caller(handler)
    call = Call("/x", body={}, may_repeat=may_repeat)
    if may_repeat:
        await calls.call(call)
    else:
        with pytest.raises(WeChatUnreachable) as caught:
            await calls.call(call)
        assert caught.value.maybe_done
    await calls.close()


async def test_what_was_never_sent_is_known_not_to_be_done() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("slow")

    calls = caller(handler)
    with pytest.raises(WeChatUnreachable) as caught:
        await calls.call(Call("/x", body={}))
    assert not caught.value.maybe_done
    await calls.close()


async def test_a_call_ends_in_time_however_slowly_its_answer_drips() -> None:
    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.02)
                yield b" "

    calls = caller(lambda _: httpx.Response(200, stream=Drip()), total_s=0.3)
    async with asyncio.timeout(30):
        with pytest.raises(WeChatUnreachable, match=r"within 0\.3 s"):
            await calls.call(Call("/x"))
    await calls.close()


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    class Flood(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1_000_000

    calls = caller(lambda _: httpx.Response(200, stream=Flood()))
    with pytest.raises(WeChatUnreachable, match="too large"):
        await calls.call(Call("/x"))
    await calls.close()


async def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"Location": "https://evil.example/"})

    calls = caller(handler)
    with pytest.raises(WeChatUnreachable, match="302"):
        await calls.call(Call("/x", {"access_token": "secret-token-0001"}))
    assert not any("evil" in address for address in asked)
    await calls.close()


# Answers


def test_json_is_read_as_wechat_writes_it() -> None:
    content = b'\xef\xbb\xbf{"errcode": "0", "nick": "a\x00\x1f\xff\xfe b"}'
    document = read_answer(200, content).document
    assert document is not None
    assert document["nick"] == "a\x00\x1f b"


@pytest.mark.parametrize(
    "content", [b"", b"ok", b"[1]", b"null", b"{", b"[" * 100_000, b"<html>500</html>", b'"a"']
)
def test_what_is_no_answer_is_unreachable_and_no_crash(content: bytes) -> None:
    with pytest.raises(WeChatUnreachable):
        read_answer(200, content)


@given(st.binary(max_size=200), st.sampled_from([200, 302, 404, 500]))
def test_no_answer_whatever_crashes_a_call(content: bytes, status: int) -> None:
    try:
        read_answer(status, content)
    except (WeChatRefused, WeChatUnreachable):
        return


def test_the_id_that_support_asks_for_is_kept_and_taken_out_of_the_words() -> None:
    words = "invalid credential, access_token is invalid or not latest, rid: 6463-3bb0-2e4f-1a2b"
    assert without_rid(words) == (
        "invalid credential, access_token is invalid or not latest",
        "6463-3bb0-2e4f-1a2b",
    )
    assert without_rid("ok") == ("ok", None)


def test_a_secret_that_wechat_repeats_is_blotted_out() -> None:
    content = json.dumps(
        {"errcode": 40125, "errmsg": f"bad {TEA.app_secret} rid: 1-2-3-4"}
    ).encode()
    with pytest.raises(WeChatRefused) as caught:
        read_answer(200, content, (TEA.app_secret,))
    assert (caught.value.errmsg, caught.value.rid) == ("bad …", "1-2-3-4")
    assert TEA.app_secret not in f"{caught.value!r} {TEA!r}"


async def test_the_clock_is_compared_with_the_one_of_the_answer() -> None:
    headers = {"Date": "Mon, 23 Nov 2026 11:59:00 GMT"}
    calls = caller(lambda _: httpx.Response(200, json={}, headers=headers))
    before = calls.skew_s
    await calls.call(Call("/x"))
    assert (before, calls.skew_s) == (None, 60)
    await calls.close()

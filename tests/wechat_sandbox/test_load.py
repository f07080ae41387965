import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.wechat.pushes import UnknownPush, read_push
from tests.wechat_sandbox.conftest import Callback, response
from wechat_sandbox.accounts import Account
from wechat_sandbox.load import Plan, account_of, main, push_load

PLAN = Plan(rate=200, seconds=0.5, people=7, repeat_share=0.1, shuffle_s=0.2, interval_s=0.1)


async def test_every_push_is_sent_once_and_some_again_out_of_order(
    connected: Callable[..., Account], callback: Callback
) -> None:
    account = connected()
    report = await push_load(account, PLAN)

    assert report.messages == 100
    assert report.outcomes == {"200": len(callback.received)}
    assert report.unacknowledged == 0
    times = Counter(one.query["nonce"] for one in callback.received)
    assert len(times) == 100
    assert set(times.values()) == {1, 2}
    nonces = [int(one.query["nonce"]) for one in callback.received]
    assert nonces != sorted(nonces)


async def test_they_are_of_many_kinds_and_all_are_understood(
    connected: Callable[..., Account], callback: Callback
) -> None:
    account = connected()
    await push_load(account, PLAN)
    pushes = [read_push(one.opened(account)) for one in callback.received]
    assert len({type(push) for push in pushes}) == 5
    assert not any(isinstance(push, UnknownPush) for push in pushes)
    assert len({push.envelope.openid for push in pushes}) == 7


async def test_what_is_refused_is_counted(
    connected: Callable[..., Account], callback: Callback
) -> None:
    callback.answers = [response(b"", "503 Service Unavailable"), None]
    once = Plan(rate=50, seconds=0.1, repeat_share=0, shuffle_s=0, attempts=1, interval_s=0.05)
    report = await push_load(connected(), once)
    assert report.outcomes == {"200": 3, "503": 1, "cut": 1}
    assert report.unacknowledged == 2
    callback.answers = [response(b"", "503 Service Unavailable"), None]
    report = await push_load(connected(), replace(once, attempts=2))
    assert report.outcomes == {"200": 5, "503": 1, "cut": 1}
    assert report.unacknowledged == 0


def test_the_program_says_that_nothing_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"app_id": "wx0011223344556677", "original_id": "gh_1", "token": "token123",
              "aes_key": "a" * 43, "mode": "secure", "format": "xml"}  # fmt: skip
    file = tmp_path / "account.json"
    file.write_text(json.dumps(record))
    words = ["--url", "http://127.0.0.1:9/callback", "--account", str(file), "--rate", "10"]
    assert main([*words, "--seconds", "0.2", "--shuffle-s", "0", "--attempts", "1"]) == 1
    assert json.loads(capsys.readouterr().out)["outcomes"] == {"cut": 2}


async def test_a_callback_over_tls_is_refused_by_name() -> None:
    record = {"app_id": "wx0011223344556677", "original_id": "gh_1", "token": "token123",
              "aes_key": "a" * 43, "mode": "secure", "format": "xml"}  # fmt: skip
    with pytest.raises(ValueError, match="plain HTTP"):
        await push_load(account_of(record, "https://shop.example/callback"), PLAN)

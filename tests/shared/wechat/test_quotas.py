import httpx
import pytest

from shared.wechat.answers import (
    WeChatRefused,
)
from shared.wechat.client import WeChatClient
from shared.wechat.errcodes import Trouble
from shared.wechat.quotas import REST_S, Quotas
from tests.shared.wechat.fake import TEA, Fake


@pytest.fixture
def wechat() -> Fake:
    return Fake()


def test_a_quota_is_shared_by_the_processes_and_comes_back_with_time() -> None:
    now = [0.0]
    quotas = Quotas(workers=50, monotonic=lambda: now[0])
    path = "/wxa/getwxacodeunlimit"  # 5,000 a minute: 100 for each of 50
    for _ in range(100):
        quotas.take(path, "wx1")
    with pytest.raises(WeChatRefused) as caught:
        quotas.take(path, "wx1")
    assert (caught.value.trouble, caught.value.errcode) == (Trouble.QUOTA, None)
    assert caught.value.retry_after_s == 1
    quotas.take(path, "wx2")
    quotas.take("/no/quota", "wx1")

    now[0] = 60
    quotas.take(path, "wx1")


async def test_an_api_whose_day_is_used_up_is_left_alone_for_a_while(wechat: Fake) -> None:
    now = [0.0]
    path = "/cgi-bin/message/custom/send"
    wechat.answers[path] = {"errcode": 45009, "errmsg": "reach max api daily quota limit"}
    client = WeChatClient(
        ("https://a.example",),
        transport=httpx.MockTransport(wechat),
        quotas=Quotas(monotonic=lambda: now[0]),
    )
    for expected in (45009, None, None):
        with pytest.raises(WeChatRefused) as caught:
            await client.send_custom_text(TEA, "o1", "a")
        assert (caught.value.trouble, caught.value.errcode) == (Trouble.QUOTA, expected)
    now[0] = REST_S + 1
    with pytest.raises(WeChatRefused) as caught:
        await client.send_custom_text(TEA, "o1", "a")
    assert caught.value.errcode == 45009
    await client.close()

"""The page on which visitors join."""

import httpx
import pytest

pytestmark = pytest.mark.slow


async def test_the_page_to_join_speaks_the_visitors_language(member: httpx.AsyncClient) -> None:
    chinese = await member.get("/join", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    english = await member.get("/join", headers={"Accept-Language": "fr, en;q=0.5"})

    assert '<html lang="zh-CN">' in chinese.text
    assert '<html lang="en">' in english.text
    assert "default-src 'none'" in english.headers["content-security-policy"]
    assert "http://" not in english.text
    assert "https://" not in english.text

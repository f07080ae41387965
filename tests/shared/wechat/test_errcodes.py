"""The table of WeChat's error codes."""

import pytest

from shared.wechat.errcodes import Remedy, Trouble, advice_on, trouble_of

KNOWN = {
    -1: Trouble.BUSY,
    40001: Trouble.TOKEN,
    40014: Trouble.TOKEN,
    42001: Trouble.TOKEN,
    45009: Trouble.QUOTA,
    45011: Trouble.BUSY,
    43101: Trouble.REFUSED_BY_USER,
    45015: Trouble.WINDOW_CLOSED,
    45047: Trouble.WINDOW_CLOSED,
    40037: Trouble.BAD_TEMPLATE,
    47003: Trouble.BAD_VALUE,
    41030: Trouble.BAD_VALUE,
    40029: Trouble.BAD_CODE,
    40163: Trouble.USED_CODE,
    40003: Trouble.UNKNOWN_USER,
    48001: Trouble.NOT_PERMITTED,
    40013: Trouble.BAD_ACCOUNT,
    40125: Trouble.BAD_ACCOUNT,
    40243: Trouble.BAD_ACCOUNT,
    40164: Trouble.IP_NOT_ALLOWED,
    61004: Trouble.IP_NOT_ALLOWED,
    89503: Trouble.IP_NOT_ALLOWED,
    43108: Trouble.CONCURRENT,
    99999: Trouble.UNKNOWN,
}


@pytest.mark.parametrize("errcode", KNOWN)
def test_the_documented_codes_are_known(errcode: int) -> None:
    assert trouble_of(errcode) is KNOWN[errcode]


def test_every_trouble_comes_up_and_has_a_sentence() -> None:
    assert set(KNOWN.values()) == set(Trouble)
    for trouble in Trouble:
        assert advice_on(trouble).sentence.endswith(".")


def test_only_a_token_is_renewed_and_only_what_passes_is_tried_again() -> None:
    remedies = {trouble: advice_on(trouble).remedy for trouble in Trouble}
    assert [trouble for trouble in Trouble if remedies[trouble] is Remedy.RENEW] == [Trouble.TOKEN]
    later = {trouble for trouble in Trouble if remedies[trouble] is Remedy.LATER}
    assert later == {Trouble.BUSY, Trouble.CONCURRENT}

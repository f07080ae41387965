"""A coupon's code as a picture for the till."""

import io
from uuid import UUID, uuid4

import httpx
import pytest
import segno
from fastapi import FastAPI

from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import open_store
from tests.geo_api.redemptions.helpers import won_coupon

pytestmark = pytest.mark.slow


@pytest.fixture
async def coupon(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> tuple[UUID, str, dict[str, str]]:
    """Its id and code, and the headers of its holder."""
    await open_store(geo, geo_app, tokens("server"))
    won = await won_coupon(geo_app)
    async with geo_app.state.database.begin() as connection:
        rows = await connection.exec_driver_sql("SELECT subject_id FROM geo.coupons")
        holder = rows.scalar_one()
    return won.coupon_id, won.code, tokens("member", subject_id=holder)


def picture_of(code: str) -> bytes:
    drawn = io.BytesIO()
    qr = segno.make_qr(code, error="m")
    qr.save(drawn, kind="png", scale=-(-430 // qr.symbol_size(border=4)[0]), border=4)
    return drawn.getvalue()


async def test_the_holder_sees_the_code_that_the_till_reads(
    geo: httpx.AsyncClient, coupon: tuple[UUID, str, dict[str, str]]
) -> None:
    coupon_id, code, holder = coupon
    png = await geo.get(f"/v1/coupons/{coupon_id}/qr", headers=holder)
    assert (png.status_code, png.headers["content-type"]) == (200, "image/png")
    assert png.content == picture_of(code)
    assert png.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/svg+xml", "image/svg+xml"),
        ("image/svg+xml;q=0.5, image/png", "image/png"),
        ("image/png;q=0.5, image/svg+xml", "image/svg+xml"),
        ("*/*", "image/png"),
        ("", "image/png"),
        ("image/svg+xml;q=x", "image/svg+xml"),
    ],
)
async def test_the_form_is_the_callers_to_choose(
    geo: httpx.AsyncClient,
    coupon: tuple[UUID, str, dict[str, str]],
    accept: str,
    media_type: str,
) -> None:
    coupon_id, _, holder = coupon
    drawn = await geo.get(f"/v1/coupons/{coupon_id}/qr", headers=holder | {"Accept": accept})
    assert drawn.headers["content-type"].startswith(media_type)
    assert drawn.content.startswith(b"<svg" if "svg" in media_type else b"\x89PNG")


async def test_nobody_else_sees_it(
    geo: httpx.AsyncClient, coupon: tuple[UUID, str, dict[str, str]], tokens: Tokens
) -> None:
    coupon_id, _, holder = coupon
    other = tokens("member", subject_id=uuid4())
    answers = [
        await geo.get(f"/v1/coupons/{coupon_id}/qr", headers=other),
        await geo.get(f"/v1/coupons/{uuid4()}/qr", headers=holder),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1


async def test_a_coupon_that_is_used_or_over_has_no_code_to_show(
    geo: httpx.AsyncClient, geo_app: FastAPI, coupon: tuple[UUID, str, dict[str, str]]
) -> None:
    coupon_id, _, holder = coupon
    for change, state in (
        ("state = 'redeemed'", "redeemed"),
        ("state = 'granted', valid_until = valid_from + interval '1 microsecond'", "expired"),
    ):
        async with geo_app.state.database.begin() as connection:
            await connection.exec_driver_sql(f"UPDATE geo.coupons SET {change}")
        refused = await geo.get(f"/v1/coupons/{coupon_id}/qr", headers=holder)
        assert (refused.status_code, refused.json()["state"]) == (409, state)

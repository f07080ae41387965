"""Logins and numbers at the loudest logging: what must stay is searched for everywhere else."""

import asyncio
import logging
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from services.geo_api.audience.repository import erase
from tests.geo_api.wechat.stand_in import MINI, Rehearsal
from tests.geo_api.wechat.test_nothing_secret_is_logged import loudly

pytestmark = pytest.mark.slow

NUMBER = "13800000001"


async def live(rehearsal: Rehearsal) -> tuple[list[str], list[str]]:
    """Log in, fail to, share the number, scan. Gives all answers, and all codes that were used."""
    code = (await rehearsal.act("mei", "open"))["code"]
    first = await rehearsal.log_in_with(code)
    answers = [first, await rehearsal.log_in_with(code)]
    for fault in ({"kind": "error", "errcode": -1}, {"kind": "cut"}, {"kind": "page"}):
        await rehearsal.fault(**fault, path="/sns/jscode2session", left=1)
        answers.append(await rehearsal.login("mei"))
    mei = {"Authorization": f"Bearer {first.json()['token']}"}
    phone = (await rehearsal.act("mei", "share_phone"))["code"]
    sharing = f"/v1/wechat/{MINI}/phone", {"code": phone}
    answers += [
        await rehearsal.geo.post(sharing[0], json=sharing[1], headers=mei) for _ in range(2)
    ]
    scan = {"id": str(uuid4()), "scene": "s=s1"}
    answers.append(await rehearsal.geo.post(f"/v1/wechat/{MINI}/scans", json=scan, headers=mei))
    return [answer.text for answer in answers], [code, phone]


async def stored(rehearsal: Rehearsal) -> str:
    """All rows of all tables, as text; bytes as hexadecimal digits."""
    async with rehearsal.tools.database.begin() as connection:
        found = await connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'geo'")
        )
        dump = []
        for table in found.scalars():
            rows = await connection.execute(text(f'SELECT t::text FROM geo."{table}" AS t'))
            dump += [f"{table} {row}" for row in rows.scalars()]
    return "\n".join(dump)


async def test_what_wechat_tells_of_a_person_is_in_no_log_answer_or_readable_column(
    rehearsal: Rehearsal,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with loudly(), caplog.at_level(logging.DEBUG):
        answers, codes = await live(rehearsal)
        await asyncio.sleep(0)
    account = rehearsal.world.accounts[MINI]
    fan = rehearsal.world.fan("mei", account)
    secrets = [
        fan.session_key or "",
        fan.openid,
        rehearsal.world.unionid("mei", account) or "",
        account.app_secret,
        NUMBER,
        *codes,
    ]
    captured, dump = capfd.readouterr(), await stored(rehearsal)
    logged = [captured.out, captured.err, *(record.getMessage() for record in caplog.records)]
    assert "wechat_refused" in captured.out
    assert all(len(secret) > 8 for secret in secrets)
    for secret in secrets:
        assert not [line for line in logged if secret in line]
        assert not [answer for answer in answers if secret in answer]
        assert secret not in dump
        assert secret.encode().hex() not in dump


async def test_an_erasure_takes_the_session_key_and_the_answers_with_it(
    rehearsal: Rehearsal,
) -> None:
    await live(rehearsal)
    async with rehearsal.tools.database.begin() as connection:
        found = await connection.execute(text("SELECT subject_id FROM geo.wechat_users"))
        subject: UUID = found.scalar_one()
    async with rehearsal.tools.database.begin() as connection:
        await erase(connection, subject)
        await connection.execute(text("DELETE FROM geo.outbox"))
    assert str(subject) not in await stored(rehearsal)

"""A replay against an end that fails in every way: nothing is lost, nothing overtakes."""

import logging
from collections import defaultdict
from pathlib import Path

import orjson
import pytest

from tests.cli.data.conftest import Run, served
from tests.cli.data.receivers import TROUBLES, Receiver

ROWS, SUBJECTS = 600, 17
OPTIONS = ("--issuer", "test", "--accuracy-m", "0", "--batch-size", "20", "--concurrency", "4")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    rows = (
        f"{n},{n % SUBJECTS},{n / 1000},1,2020-01-01T00:{n // 60:02}:{n % 60:02}Z"
        for n in range(ROWS)
    )
    path.write_text("\n".join(["id,uid,lat,lon,time", *rows]))
    return path


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def orders(receiver: Receiver) -> dict[str, list[float]]:
    order = defaultdict(list)
    for document in receiver.taken.values():
        order[document["subject"]["value"]].append(document["latitude"])
    return order


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_everything_arrives_once_and_in_order_whatever_fails(
    trouble: str, file: Path, solomo: Run
) -> None:
    receiver = Receiver([trouble] * 6)
    async with served(receiver) as url:
        ran = await solomo("--json", "replay", file, *OPTIONS, "--geo-url", url)
    counts = ran.document
    assert ran.code == 0
    assert len(receiver.taken) == counts["sent"] == counts["new"] + counts["repeats"] == ROWS
    assert all(places == sorted(places) for places in orders(receiver).values()) or (
        trouble == "busy lines"
    )
    assert len(orders(receiver)) == SUBJECTS
    assert receiver.overlaps == 0
    assert (counts["resent"] > 0) == (trouble != "fine")


async def test_what_was_answered_is_counted_once_although_its_batch_goes_again(
    file: Path, solomo: Run
) -> None:
    receiver = Receiver(["busy lines"])
    async with served(receiver) as url:
        counts = (await solomo("--json", "replay", file, *OPTIONS, "--geo-url", url)).document
    assert (counts["new"], counts["repeats"], counts["resent"]) == (ROWS, 0, 6)


async def test_a_second_replay_is_answered_with_repeats(file: Path, solomo: Run) -> None:
    receiver = Receiver()
    async with served(receiver) as url:
        await solomo("replay", file, *OPTIONS, "--geo-url", url)
        again = await solomo("replay", file, *OPTIONS, "--geo-url", url)
    assert f"{ROWS} sent" in again.out
    assert f"{ROWS} repeats" in again.out


async def test_it_gives_up_after_its_patience_and_goes_on_where_it_was(
    file: Path, solomo: Run, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    receiver = Receiver(["fine"] * 10 + ["503"] * 1_000)
    words = ("--json", "replay", file, *OPTIONS, "--state", state, "--patience", "0.5")
    async with served(receiver) as url:
        first = await solomo(*words, "--geo-url", url)
        reached = orjson.loads(state.read_bytes())["acknowledged"]
        receiver.troubles.clear()
        second = await solomo(*words, "--geo-url", url)
    assert first.code == 1
    assert "503" in first.document["error"]["message"]
    assert 0 < reached < first.document["new"] < ROWS
    assert second.code == 0
    assert second.document["skipped"] == reached
    assert second.document["sent"] == ROWS - reached
    assert len(receiver.taken) == ROWS


async def test_the_state_of_another_replay_is_not_taken_for_this_one(
    file: Path, solomo: Run, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    async with served(Receiver()) as url:
        words = ("replay", file, *OPTIONS, "--geo-url", url, "--state", state)
        assert (await solomo(*words)).code == 0
        other = await solomo(*words, "--consent", "v2")
    assert other.code == 1
    assert "another file or other options" in other.err
    nowhere = await solomo("replay", file, *OPTIONS, "--state", tmp_path / "no" / "state")
    assert "there is no folder" in nowhere.err


async def test_a_refusal_of_the_whole_batch_ends_the_replay_at_once(
    file: Path, solomo: Run
) -> None:
    receiver = Receiver(["403"] * 100)
    async with served(receiver) as url:
        ran = await solomo("replay", file, *OPTIONS, "--geo-url", url)
    assert ran.code == 1
    assert "(403): no right" in ran.err
    assert receiver.requests <= 4


async def test_a_service_that_is_not_there_is_named(file: Path, solomo: Run) -> None:
    words = ("replay", file, *OPTIONS, "--patience", "0.3", "--geo-url", "http://127.0.0.1:9")
    ran = await solomo(*words)
    assert ran.code == 1
    assert "No answer for 0.3 s" in ran.err

from uuid import uuid4

import httpx
import pytest

from shared.contracts.events import Applied
from shared.feed.drain import DueEvent
from shared.feed.peer import Peer, Rejected, Unanswered, Verdict, batch_body, read_answer
from shared.feed.stream import portions

EVENTS = [DueEvent(at, uuid4(), f'{{"at":{at}}}', 0) for at in range(3)]


def said(*statuses: str) -> httpx.Response:
    results = [
        {"id": str(event.event_id), "status": status}
        for event, status in zip(EVENTS, statuses, strict=False)
    ]
    return httpx.Response(200, json={"results": results})


def statuses(response: httpx.Response) -> list[Applied | None]:
    answer = read_answer(EVENTS, response)
    assert isinstance(answer, list)
    return [verdict.status for verdict in answer]


def test_a_batch_is_made_of_payloads_as_they_stand() -> None:
    assert batch_body(EVENTS) == b'{"events":[{"at":0},{"at":1},{"at":2}]}'


def test_each_event_gets_its_own_verdict() -> None:
    expected = [Applied.APPLIED, Applied.DUPLICATE, Applied.REFUSED]
    assert statuses(said("applied", "duplicate", "refused")) == expected


def test_an_event_left_out_or_given_an_unknown_status_is_unknown() -> None:
    assert statuses(said("applied", "perhaps")) == [Applied.APPLIED, None, None]


def test_a_verdict_that_names_another_event_is_not_believed() -> None:
    results = [{"id": str(event.event_id), "status": "applied"} for event in reversed(EVENTS)]
    found = statuses(httpx.Response(200, json={"results": results}))
    assert found == [None, Applied.APPLIED, None]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"results":3}', b"null"])
def test_an_answer_in_another_form_leaves_all_unknown(body: bytes) -> None:
    answer = read_answer(EVENTS, httpx.Response(200, content=body))
    assert answer == Unanswered("the answer is not one of the feed", may_be_the_events=True)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_not_acceptable_is_rejected_with_the_detail(status: int) -> None:
    answer = read_answer(EVENTS, httpx.Response(status, json={"detail": "too long"}))
    assert answer == Rejected(f"{status} too long")


@pytest.mark.parametrize(
    ("status", "may_be_the_events"),
    [(401, False), (404, False), (429, False), (503, False), (500, True), (302, True), (418, True)],
)
def test_other_answers_leave_all_unknown(status: int, may_be_the_events: bool) -> None:
    answer = read_answer(EVENTS, httpx.Response(status, headers={"retry-after": "7"}))
    assert answer == Unanswered(str(status), may_be_the_events, retry_after_s=7.0)


@pytest.mark.parametrize(
    ("error", "may_be_the_events"),
    [(httpx.ConnectError, False), (httpx.ReadTimeout, True), (httpx.RemoteProtocolError, True)],
)
async def test_a_broken_connection_is_an_answer_too(
    error: type[httpx.TransportError], may_be_the_events: bool
) -> None:
    def breaks(_: httpx.Request) -> httpx.Response:
        raise error("")

    peer = Peer("http://member/events", lambda: "test", httpx.MockTransport(breaks))
    assert await peer.tell(EVENTS) == Unanswered(error.__name__, may_be_the_events)
    await peer.close()


async def test_each_request_carries_a_fresh_token() -> None:
    tokens, sent = iter(["first", "second"]), list[str]()

    def hear(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return said("applied", "applied", "applied")

    peer = Peer("http://member/events", lambda: next(tokens), httpx.MockTransport(hear))
    assert (await peer.tell(EVENTS))[0] == Verdict(Applied.APPLIED, "no reason given")  # type: ignore[index]  # a list, as the next line would tell
    await peer.tell(EVENTS)
    await peer.close()
    assert sent == ["Bearer first", "Bearer second"]


def test_an_event_that_keeps_failing_is_left_with_fewer_and_fewer_others() -> None:
    events = [DueEvent(at, uuid4(), "{}", attempts) for attempts in (9, 2, 0) for at in range(150)]
    sizes = [(batch[0].attempts, len(batch)) for batch in portions(events, 500)]
    assert sizes == [(0, 150), (2, 125), (2, 25)] + [(9, 1)] * 150

"""HTTP of check-ins, sessions and visits."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError

from services.geo_api.checkins.committer import MAX_GROUP, Busy, Committer, Result, Unconfirmed
from services.geo_api.checkins.domain import Answer, CheckIn
from services.geo_api.checkins.proving import Prover
from services.geo_api.checkins.reading import Reader
from services.geo_api.checkins.schemas import CHECK_IN_EXAMPLE, AnswerOut, CheckInIn
from services.geo_api.evidence.domain import CodeExpired, CodeRevoked, CodeUnknown
from shared.access import allow
from shared.auth import Principal, Role
from shared.errors import FieldFault, Malformed, Refusal, TooLarge, TooManyRequests
from shared.idempotency import KeyReused
from shared.problems import documented, malformed, problem_body
from shared.short_way import ShortRoute, read_whole
from shared.wire import parse_json

MAX_BATCH = 10_000
MAX_OWN_BATCH = 1_000
"""Check-ins that a member may send at once about itself: more than a day of them, one a minute."""

LINES_AT_A_TIME = 50
"""So many lines are read in some two milliseconds."""

LINES_PER_REQUEST = 50
"""So many lines of a member's batch count against its rate like one request."""

_EXAMPLES = [
    CHECK_IN_EXAMPLE | {"id": "0198f1c2-7a30-7b54-9c1d-2f6a52d0c002"},
    CHECK_IN_EXAMPLE
    | {
        "id": "0198f1c3-64a0-7c18-8d2e-5b7c90a1d003",
        "kind": "background",
        "latitude": 40.7423,
        "occurred_at": "2026-11-20T12:01:00-05:00",
    },
]

CALLERS = allow(Role.SERVER, Role.MEMBER, Role.STAFF)
Caller = Annotated[Principal, CALLERS]


class CheckInRoute(ShortRoute):
    """Serves the busiest endpoint, whose body is validated from its bytes: no JSON in between."""

    async def answer(self, request: Request) -> Response:
        caller = await CALLERS.dependency(request)
        explain = request.scope["query_string"] and read_explain(request)
        body = read_body(await read_whole(request))
        return await check_in(request, body, caller, bool(explain))


router = APIRouter(prefix="/v1/check-ins", tags=["check-ins"])
busiest = APIRouter(prefix="/v1/check-ins", tags=["check-ins"], route_class=CheckInRoute)
_FLAG = TypeAdapter(bool)
_TOO_DEEP = Malformed(FieldFault("", "is nested too deeply"))


def reader_of(request: Request, caller: Principal) -> Reader:
    """Reads the check-ins of one request, which are all received now."""
    state = request.app.state
    received_at = state.clock()
    guess = partial(state.limiter.take, "code_guess")
    prover = Prover(state.keys.storage, state.fences.current, caller, received_at, guess)
    return Reader(state.keys, caller, received_at, prover)


def read_explain(request: Request) -> bool:
    """``?explain=``; raises Malformed."""
    try:
        return _FLAG.validate_python(request.query_params.get("explain", False))
    except ValidationError:
        raise Malformed(FieldFault("?explain", "must be true or false")) from None


def read_body(body: bytes) -> CheckInIn:
    """Raises Malformed, naming each field."""
    try:
        return CheckInIn.model_validate_json(body)
    except ValidationError as error:
        raise _explain(body, error) from None


@busiest.post(
    "",
    status_code=201,
    response_model=AnswerOut,
    responses={
        200: {"model": AnswerOut, "description": "A repeat, or not recorded"},
        **documented(
            *(Malformed, CodeUnknown, CodeExpired, CodeRevoked),
            *(KeyReused, TooManyRequests, Busy, Unconfirmed),
        ),
    },
)
async def check_in(
    request: Request,
    body: CheckInIn,
    caller: Caller,
    explain: Annotated[bool, Query(description="adds `decisions` and `doubts`")] = False,
) -> Response:
    """Match a report of a presence; visits, coupons and the invitation come in the same answer.

    The first time 201; the same id again 200 with the same body; without consent 200, and
    nothing is kept. The same id with another body is refused. What proves a store that is closed
    for good by now is refused too (422), even if it occurred before.
    """
    state = request.app.state
    read = reader_of(request, caller).read(body)
    if caller.role is not Role.MEMBER:
        state.limiter.take("subject", read.subject_id.hex)
    [result] = await state.committer.submit([read])
    if isinstance(result, Refusal):
        raise result
    return Response(
        result.explained() if explain else result.body,
        status_code=result.http_status,
        media_type="application/json",
    )


@router.post(
    "/batch",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            "description": "A line for each check-in, in order: `line`, `http_status` and the "
            "body of the single call, or a problem. A missing line means unknown: send it again.",
        },
        **documented(Malformed, TooLarge, TooManyRequests),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": b"\n".join(map(orjson.dumps, _EXAMPLES)).decode(),
                },
                "application/json": {
                    "example": _EXAMPLES,
                    "schema": {
                        "type": "array",
                        "maxItems": MAX_BATCH,
                        "items": {"$ref": "#/components/schemas/CheckInIn"},
                    },
                },
            },
        }
    },
)
async def check_in_batch(request: Request, caller: Caller) -> StreamingResponse:
    """Up to 10,000 check-ins, as a JSON array or NDJSON. A bad line harms no other.

    A member's or staff's token may send 1,000 at once; of a member's every 50 count like a
    request.
    """
    state = request.app.state
    lines = _lines(await request.body())
    most = MAX_BATCH if caller.role is Role.SERVER else MAX_OWN_BATCH
    if len(lines) > most:
        raise TooLarge(f"A batch holds at most {most} check-ins; send {len(lines)} in parts.")
    if caller.subject_id is not None:
        for _ in range(len(lines) // LINES_PER_REQUEST):  # the first ones came with the request
            state.limiter.take("subject", caller.subject_id.hex)
    answers = _answer_lines(lines, reader_of(request, caller), state.committer)
    return StreamingResponse(answers, media_type="application/x-ndjson")


def _lines(body: bytes) -> Sequence[bytes | Malformed]:
    """The documents of a batch: the elements of an array, or the lines that are not blank."""
    if body.lstrip()[:1] == b"[":
        return [_written(item) for item in parse_json(body)]
    return [line for line in body.split(b"\n") if line.strip()]


def _written(item: Any) -> bytes | Malformed:
    try:
        return orjson.dumps(item)
    except orjson.JSONEncodeError:  # it reads deeper nesting than it writes
        return _TOO_DEEP


async def _answer_lines(
    lines: Sequence[bytes | Malformed], reader: Reader, committer: Committer
) -> AsyncIterator[bytes]:
    """Answer chunk by chunk, each after its commit.

    The next chunk is read while the one before is at the database, and handed on only after it.
    Ends with the first chunk that cannot be taken now, so that what is sent again keeps its order.
    """
    taken: set[tuple[UUID, UUID]] = set()
    following = await _read_chunk(lines, 0, reader)
    for start in range(0, len(lines), MAX_GROUP):
        read = following
        accepted = [item for item in read if isinstance(item, CheckIn)]
        try:
            results, following = await asyncio.gather(
                committer.submit(accepted), _read_chunk(lines, start + MAX_GROUP, reader)
            )
        except (Busy, Unconfirmed) as refusal:
            yield _chunk(read, iter([refusal] * len(accepted)), start)
            return
        firsts = _firsts(accepted, results, taken)
        yield _chunk(read, firsts, start)


def _firsts(
    check_ins: Sequence[CheckIn], results: Sequence[Result], taken: set[tuple[UUID, UUID]]
) -> Iterator[Result]:
    """The results, where one that an earlier chunk answered (``taken``) is a repeat: 200.

    The receipt does not tell, for all lines of a batch are received at one moment.
    """
    for check_in, result in zip(check_ins, results, strict=True):
        if isinstance(result, Answer) and check_in.key in taken:
            yield Answer(200, result.body, result.explanation)
            continue
        if isinstance(result, Answer):
            taken.add(check_in.key)
        yield result


async def _read_chunk(
    lines: Sequence[bytes | Malformed], start: int, reader: Reader
) -> list[CheckIn | Refusal]:
    """The chunk that begins at ``start``, a few lines at a time between which others get on."""
    read: list[CheckIn | Refusal] = []
    end = min(start + MAX_GROUP, len(lines))
    for first in range(start, end, LINES_AT_A_TIME):
        read += [_read(line, reader) for line in lines[first : min(first + LINES_AT_A_TIME, end)]]
        await asyncio.sleep(0)
    return read


def _chunk(read: Sequence[CheckIn | Refusal], results: Any, start: int) -> bytes:
    answered = (next(results) if isinstance(item, CheckIn) else item for item in read)
    return b"".join(_line(number, result) for number, result in enumerate(answered, start + 1))


def _read(line: bytes | Malformed, reader: Reader) -> CheckIn | Refusal:
    if isinstance(line, Malformed):
        return line
    try:
        return reader.read(CheckInIn.model_validate_json(line))
    except ValidationError as error:
        return _explain(line, error)
    except Refusal as refusal:
        return refusal


def _explain(line: bytes, error: ValidationError) -> Malformed:
    try:
        return malformed(error, parse_json(line))
    except Malformed as not_json:
        return not_json
    except RecursionError:
        return _TOO_DEEP


def _line(number: int, result: Result) -> bytes:
    if isinstance(result, Answer):
        return result.numbered(number) + b"\n"
    problem = problem_body(result)
    numbered = {"line": number, "http_status": problem["status"], **problem}
    return orjson.dumps(numbered, default=str) + b"\n"

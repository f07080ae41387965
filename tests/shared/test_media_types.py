import httpx
import pytest

from shared.media_types import unsupported

PARCEL = b'{"label": "a"}'
BATCH = "/v1/check-ins/batch"


async def send(probe: httpx.AsyncClient, media_type: str | None, body: bytes) -> int:
    headers = {} if media_type is None else {b"Content-Type": media_type.encode("latin-1")}
    answer = await probe.post("/v1/parcels", content=body, headers=headers)
    if answer.status_code == 415:
        assert answer.json()["type"] == "/problems/unsupported-media-type"
        assert "application/json" in answer.json()["detail"]
    return answer.status_code


@pytest.mark.parametrize(
    "media_type",
    [
        *("application/json", "application/json; charset=utf-8", "Application/JSON"),
        *("application/vnd.api+json", "", None),
    ],
)
async def test_json_is_taken_under_each_of_its_names_and_under_none(
    probe: httpx.AsyncClient, media_type: str | None
) -> None:
    assert await send(probe, media_type, PARCEL) == 200


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/x-ndjson",
        "json",
        "é",
    ],
)
async def test_a_body_that_says_it_is_something_else_is_refused(
    probe: httpx.AsyncClient, media_type: str
) -> None:
    assert await send(probe, media_type, PARCEL) == 415


async def test_what_has_no_body_may_name_any_kind(probe: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = await probe.get("/v1/parcels", headers=headers)
    assert answer.status_code == 200
    assert await send(probe, "text/plain", b"") == 422


@pytest.mark.parametrize("kind", [b"application/x-ndjson", b"application/jsonl; charset=utf-8"])
def test_lines_of_json_are_for_batches_of_check_ins(kind: bytes) -> None:
    assert unsupported("POST", BATCH, kind) is None
    assert unsupported("POST", "/v1/check-ins", kind) is not None


def test_the_refusal_of_a_batch_names_lines_too() -> None:
    refusal = unsupported("POST", BATCH, b"text/plain")
    assert refusal is not None
    assert "application/x-ndjson" in refusal.detail

"""The demo's calls to both services, one method for each thing that happens in its story."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import orjson

from cli.city import OFFERS, STORES, Store, walk
from cli.client import NDJSON, TIMEOUT, own_token, refused, unreachable
from cli.output import CommandFailed
from cli.tally import Tally

ISSUER = "demo"
CONSENT_VERSION = "demo-1"
BATCH = 500
_SETTLE_S = 1.5
"""Until every process has surely heard of new stores and offers: they look twice a second."""
_FEED_S = 30.0
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Caller:
    """In which role the demo calls; staff belong to a store."""

    role: str
    store_id: str | None = None


SERVER, MARKETER = Caller("server"), Caller("marketer")


@dataclass(frozen=True, slots=True)
class Told:
    """A person's profile and timeline, newest first."""

    person: dict[str, Any]
    timeline: list[dict[str, Any]]


class DemoCity:
    """The made-up city in one installation; ``run`` names the people of this run."""

    def __init__(self, geo: httpx.Client, member: httpx.Client, run: str) -> None:
        self._geo = geo
        self._member = member
        self._run = run
        self._tokens: dict[Caller, str] = {}

    def build(self) -> None:
        """Stores, geofences and offers; where they stand already nothing changes."""
        new = False
        for store in STORES:
            new |= self._put(f"/v1/stores/{store.store_id}", store.body())
            new |= self._put(f"/v1/geofences/{store.store_id}", store.geofence())
        for offer_id, body in OFFERS.items():
            new |= self._put(f"/v1/offers/{offer_id}", body)
            self._call(self._geo, "POST", f"/v1/offers/{offer_id}/activate", MARKETER)
        if new:
            time.sleep(_SETTLE_S)

    def send_visitors(self, seed: int, visitors: int) -> Tally:
        """Let visitors walk, and report where they were in the last eight minutes."""
        tally, now = Tally(), datetime.now(UTC)
        check_ins = sorted(_walks(self._run, seed, visitors, now), key=_occurred_at)
        for start in range(0, len(check_ins), BATCH):
            batch = check_ins[start : start + BATCH]
            content = b"\n".join(map(orjson.dumps, batch))
            headers = {"Content-Type": NDJSON}
            answer = self._call(
                self._geo, "POST", "/v1/check-ins/batch", SERVER, content=content, headers=headers
            )
            tally.sent += len(batch)
            for line in answer.content.splitlines():
                document = orjson.loads(line)
                tally.take(document, document["line"])
        return tally

    def check_in(self, identity: dict[str, str], store: Store) -> tuple[dict[str, Any], Any]:
        """A person checks in at a store; (the check-in, its answer)."""
        body = _check_in(identity, datetime.now(UTC), kind="manual", accuracy_m=8.0)
        place = store.body()
        body |= {"latitude": place["latitude"], "longitude": place["longitude"]}
        return body, self._call(self._geo, "POST", "/v1/check-ins", SERVER, json=body).json()

    def sign_up(self, identity: dict[str, str], invitation: str, name: str) -> dict[str, Any]:
        body = {
            "invitation": invitation,
            "identities": [identity],
            "consents": [
                {"purpose": purpose, "version": CONSENT_VERSION}
                for purpose in ("visit_history", "marketing_push")
            ],
            "profile": {"name": name},
        }
        return self._create(self._member, "/v1/sign-ups", SERVER, body)

    def redeem(self, code: str, store: Store) -> dict[str, Any]:
        """A clerk of the store takes a coupon, as told by its token."""
        order = {"order_amount_minor": 1850, "currency": "USD"}
        body = {"code": code, "store_id": store.store_id, **order}
        return self._create(self._geo, "/v1/redemptions", Caller("staff", store.store_id), body)

    def profile(self, identity: dict[str, str], until_type: str) -> Told:
        """What member_api knows of a person, as soon as the feed has brought ``until_type``."""
        deadline = time.monotonic() + _FEED_S
        while time.monotonic() < deadline:
            found = self._send(self._member, "GET", "/v1/people", MARKETER, params=identity)
            if found.status_code == httpx.codes.OK:
                person = found.json()
                path = f"/v1/people/{person['person_id']}/timeline"
                items = self._call(self._member, "GET", path, MARKETER).json()["items"]
                if until_type in {item["type"] for item in items}:
                    return Told(person, items)
            elif found.status_code != httpx.codes.NOT_FOUND:
                raise refused(found.status_code, found.content)
            time.sleep(_POLL_S)
        hint = "Is member_api up? See ./solomo status"
        raise CommandFailed(f"The profile did not arrive within {_FEED_S:g} s.", hint)

    def _put(self, path: str, body: dict[str, Any]) -> bool:
        """Whether it was not there yet."""
        answer = self._call(self._geo, "PUT", path, MARKETER, json=body)
        return answer.status_code == httpx.codes.CREATED

    def _create(self, client: httpx.Client, path: str, caller: Caller, body: Any) -> dict[str, Any]:
        headers = {"Idempotency-Key": f"demo-{self._run}"}
        return dict(self._call(client, "POST", path, caller, json=body, headers=headers).json())

    def _call(
        self, client: httpx.Client, method: str, path: str, caller: Caller, **content: Any
    ) -> httpx.Response:
        """Raises CommandFailed when the service refuses or is not there."""
        answer = self._send(client, method, path, caller, **content)
        if answer.is_error:
            raise refused(answer.status_code, answer.content)
        return answer

    def _send(
        self, client: httpx.Client, method: str, path: str, caller: Caller, **content: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token(caller)}", **content.pop("headers", {})}
        try:
            return client.request(method, path, headers=headers, **content)
        except httpx.TransportError as error:
            raise unreachable(str(client.base_url), error) from error

    def _token(self, caller: Caller) -> str:
        if caller not in self._tokens:
            token = own_token(caller.role, subject="demo", store_id=caller.store_id)
            self._tokens[caller] = token
        return self._tokens[caller]


@contextmanager
def demo_city(geo_url: str, member_url: str, run: str) -> Iterator[DemoCity]:
    with (
        httpx.Client(base_url=geo_url, timeout=TIMEOUT, trust_env=False) as geo,
        httpx.Client(base_url=member_url, timeout=TIMEOUT, trust_env=False) as member,
    ):
        yield DemoCity(geo, member, run)


def identity(run: str, name: str) -> dict[str, str]:
    return {"namespace": "app_user", "issuer": ISSUER, "value": f"{name}-{run}"}


def _walks(run: str, seed: int, visitors: int, now: datetime) -> Iterator[dict[str, Any]]:
    chance = random.Random(seed)  # noqa: S311 - a walk, not a secret
    for number in range(1, visitors + 1):
        who = identity(run, f"visitor-{number}")
        for step in walk(chance):
            at = now - timedelta(seconds=step.seconds_ago)
            body = _check_in(who, at, kind="background", accuracy_m=step.accuracy_m)
            yield {**body, "latitude": step.latitude, "longitude": step.longitude}


def _check_in(who: dict[str, str], at: datetime, *, kind: str, accuracy_m: float) -> dict[str, Any]:
    occurred_at = at.isoformat(timespec="seconds")
    return {
        "id": str(uuid5(NAMESPACE_URL, f"solomo-demo:{who['value']}:{occurred_at}")),
        "kind": kind,
        "accuracy_m": accuracy_m,
        "occurred_at": occurred_at,
        "subject": who,
        "consent": {
            "purpose": "visit_history",
            "version": CONSENT_VERSION,
            "given_at": occurred_at,
        },
    }


def _occurred_at(check_in: dict[str, Any]) -> str:
    return str(check_in["occurred_at"])

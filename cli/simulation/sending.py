"""Sending a simulation to a running installation, and comparing its visits with those expected."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid5

import httpx
import orjson

from cli.client import refused, unreachable
from cli.lanes import Entry, Lanes, Pace
from cli.progress import Report
from cli.simulation.deciding import Found
from cli.simulation.plane import HARBOUR, Shop
from cli.simulation.reports import Report as CheckIn
from cli.tally import Tally
from services.geo_api.presence.domain import ClosedBy, VisitState
from shared.geo import to_geojson

ISSUER = "simulation"
CONSENT_VERSION = "simulation-1"

_NAMESPACE = UUID("5d2b1c2e-6a0f-5a63-8c3c-0b7f7d6d6a11")
_SETTLE_S = 1.5
"""Until every process has surely heard of new geofences: they look twice a second."""

_PAGE = 500
_PACE = Pace(batch_size=500, concurrency=4, patience_s=60.0)
_EARLIER = timedelta(hours=1)

Headers = Mapping[str, str]
Told = tuple[str, str, datetime, datetime | None, VisitState, ClosedBy | None]
"""A visit as it can be compared: whose, where, entered, left, in which state, closed by what."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an installation made of the check-ins; equal when nothing is missing or surplus."""

    tally: Tally
    took_s: float
    listed: int
    missing: tuple[Told, ...]
    surplus: tuple[Told, ...]

    @property
    def is_equal(self) -> bool:
        return not self.missing and not self.surplus


@dataclass(frozen=True, slots=True)
class Installation:
    """Where to send to, and as whom: ``client`` calls as a server, ``marketer`` draws geofences."""

    client: httpx.AsyncClient
    marketer: Headers

    async def build(self, shops: Sequence[Shop]) -> None:
        """Stores and geofences; where they stand already nothing changes."""
        new = False
        for shop in shops:
            for kind, body in (("stores", _store(shop)), ("geofences", _geofence(shop))):
                path = f"/v1/{kind}/{shop.store_id}"
                answer = await self._call("PUT", path, json=body, headers=self.marketer)
                new |= answer.status_code == httpx.codes.CREATED
        if new:
            await asyncio.sleep(_SETTLE_S)

    async def compare(
        self,
        run: str,
        sent: Sequence[CheckIn],
        expected: Sequence[Found],
        report: Report,
    ) -> Comparison:
        """Send check-ins under the name of this run; their order of arrival is kept by subject."""
        tally = _Noting(sent, report)
        began_s = time.monotonic()
        await Lanes(self.client, _PACE, tally).send(_entries(run, sent))
        took_s = time.monotonic() - began_s
        wanted = {
            (v.subject, v.store_id, v.entered_at, v.left_at, v.state, v.closed_by) for v in expected
        }
        stores = {visit.store_id for visit in expected} | tally.stores
        since = min(report.occurred_at for report in sent) - _EARLIER
        listed = {told async for told in self._listed(stores, since, tally.owners)}
        missing, surplus = sorted(wanted - listed, key=str), sorted(listed - wanted, key=str)
        return Comparison(tally, took_s, len(listed), tuple(missing), tuple(surplus))

    async def _listed(
        self, stores: set[str], since: datetime, owners: Mapping[str, str]
    ) -> AsyncIterator[Told]:
        """The visits of this run, in every state."""
        for store_id, state in product(sorted(stores), VisitState):
            asked = {"store_id": store_id, "state": state.value, "limit": str(_PAGE)}
            while True:
                answer = await self._call("GET", "/v1/visits", params=asked)
                page = answer.json()
                for visit in page["items"]:
                    if visit["id"] in owners:
                        yield _told(owners[visit["id"]], visit)
                if page["next_cursor"] is None or _is_before(page["items"], since):
                    break
                asked["cursor"] = page["next_cursor"]

    async def _call(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Raises CommandFailed when the service refuses or is not there."""
        try:
            answer = await self.client.request(method, path, **content)
        except httpx.TransportError as error:
            raise unreachable(str(self.client.base_url), error) from error
        if answer.is_error:
            raise refused(answer.status_code, answer.content)
        return answer


class _Noting(Tally):
    """Also notes whose each visit is: the list of visits names people by inner ids only."""

    def __init__(self, sent: Sequence[CheckIn], report: Report) -> None:
        super().__init__()
        self.owners: dict[str, str] = {}
        self.stores: set[str] = set()
        self._subjects = [report.subject for report in sent]
        self._report = report

    def take(self, answer: Mapping[str, Any], line: int) -> None:
        super().take(answer, line)
        for visit in answer.get("visits") or ():
            self.owners[visit["id"]] = self._subjects[line]
            self.stores.add(visit["store_id"])
        self._report(self.answered, f"{self.answered:,} check-ins, {len(self.owners):,} visits")


def _entries(run: str, sent: Sequence[CheckIn]) -> Iterator[Entry]:
    for line, report in enumerate(sent):
        body = orjson.dumps(_check_in(run, report))
        yield Entry(ordinal=line, line=line, body=body, subject=report.subject)


def _check_in(run: str, report: CheckIn) -> dict[str, Any]:
    occurred_at = report.occurred_at.isoformat(timespec="milliseconds")
    consent = {"purpose": "visit_history", "version": CONSENT_VERSION, "given_at": occurred_at}
    return {
        "id": str(uuid5(_NAMESPACE, f"{run}:{report.subject}:{report.number}")),
        "kind": "background",
        "latitude": report.lat,
        "longitude": report.lon,
        "accuracy_m": report.accuracy_m,
        "occurred_at": occurred_at,
        "subject": {
            "namespace": "app_user",
            "issuer": ISSUER,
            "value": f"{report.subject}-{run}",
        },
        "signals": {"mocked": report.mocked},
        "consent": consent,
    }


def _store(shop: Shop) -> dict[str, Any]:
    place = HARBOUR.lonlat(shop.ground.east_m, shop.ground.north_m)
    return {
        "name": f"Simulated store {shop.store_id}",
        "brand": "Simulation",
        "latitude": place.lat,
        "longitude": place.lon,
        "timezone": "America/New_York",
        "tags": ["simulation"],
    }


def _geofence(shop: Shop) -> dict[str, Any]:
    return {"store_id": shop.store_id, "geometry": to_geojson(shop.ground.shape(HARBOUR))}


def _told(subject: str, visit: Mapping[str, Any]) -> Told:
    left_at, closed_by = visit["left_at"], visit["closed_by"]
    return (
        subject,
        visit["store_id"],
        datetime.fromisoformat(visit["entered_at"]),
        None if left_at is None else datetime.fromisoformat(left_at),
        VisitState(visit["state"]),
        None if closed_by is None else ClosedBy(closed_by),
    )


def _is_before(visits: Sequence[Mapping[str, Any]], since: datetime) -> bool:
    """Pages go from the latest entry back."""
    return bool(visits) and datetime.fromisoformat(visits[-1]["entered_at"]) < since

"""Small makers of events, as geo_api would tell them."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from shared.identity import Identity, Namespace, subject_id
from shared.ids import event_id
from shared.keys import load_geo_keys

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CONSENT = {"purpose": "visit_history", "version": "1", "given_at": "2026-11-20T08:00:00Z"}


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def event(
    kind: str,
    subject: UUID | None,
    key: str,
    *,
    time: datetime = START,
    store_id: str | None = None,
    revision: int = 1,
    retracted: bool = False,
    data: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "schemaversion": 1,
        "id": str(event_id(subject, kind, key)),
        "source": "/geo_api",
        "type": kind,
        "subject": None if subject is None else str(subject),
        "time": time.isoformat(),
        "received_at": time.isoformat(),
        "store_id": store_id,
        "revision": revision,
        "retracted": retracted,
        "data": data or {},
    } | more


def check_in(
    subject: UUID, *, time: datetime = START, store_id: str | None = "s1", **more: Any
) -> dict[str, Any]:
    key = str(uuid4())
    stores = [] if store_id is None else [store_id]
    data = {
        "check_in_id": key,
        "kind": "manual",
        "store_ids": stores,
        "consent": CONSENT,
        **more,
    }
    return event("check_in", subject, key, time=time, store_id=store_id, data=data)


def dwelled(
    subject: UUID,
    visit_id: UUID,
    dwell_s: int,
    *,
    entered_at: datetime = START,
    store_id: str = "s1",
    revision: int = 1,
    retracted: bool = False,
) -> dict[str, Any]:
    """A visit has reached a threshold."""
    return event(
        "visit_dwelled",
        subject,
        f"{visit_id}/{dwell_s}",
        time=entered_at + timedelta(seconds=dwell_s),
        store_id=store_id,
        revision=revision,
        retracted=retracted,
        data={
            "visit_id": str(visit_id),
            "entered_at": entered_at.isoformat(),
            "dwell_s": dwell_s,
        },
    )


def visit(
    kind: str,
    subject: UUID,
    visit_id: UUID,
    entered_at: datetime,
    left_at: datetime | None = None,
    *,
    store_id: str = "s1",
    revision: int = 1,
    retracted: bool = False,
) -> dict[str, Any]:
    data: dict[str, Any] = {"visit_id": str(visit_id)}
    if kind != "visit_entered":
        assert left_at is not None
        data |= {"entered_at": entered_at.isoformat(), "left_at": left_at.isoformat()}
    return event(
        kind,
        subject,
        str(visit_id),
        time=left_at or entered_at,
        store_id=store_id,
        revision=revision,
        retracted=retracted,
        data=data,
    )


def redeemed(
    subject: UUID, redemption_id: UUID, *, time: datetime = START, amount_minor: int = 4200
) -> dict[str, Any]:
    data = {
        "redemption_id": str(redemption_id),
        "coupon_id": str(uuid4()),
        "order_amount_minor": amount_minor,
        "currency": "CNY",
    }
    key = str(redemption_id)
    return event("coupon_redeemed", subject, key, time=time, store_id="s1", data=data)


def reversed_(subject: UUID, redemption_id: UUID, *, time: datetime) -> dict[str, Any]:
    data = {"redemption_id": str(redemption_id), "reason": "returned"}
    key = str(redemption_id)
    return event("redemption_reversed", subject, key, time=time, store_id="s1", data=data)


def observed(keys_dir: Path, identity: Identity, *, time: datetime = START) -> dict[str, Any]:
    keys = load_geo_keys(keys_dir / "geo")
    parts = [identity.namespace.value, identity.issuer, identity.value]
    box = keys.sealing.seal(json.dumps(parts).encode())
    subject = subject_id(keys.identity, identity)
    data = {"sealed": base64.b64encode(box).decode()}
    return event("identity_observed", subject, "1", time=time, data=data)


def app_user(value: str) -> Identity:
    return Identity(Namespace.APP_USER, "demo", value)


def social(
    kind: str,
    subject: UUID,
    natural_key: str,
    /,
    *,
    time: datetime = START,
    store_id: str | None = None,
    revision: int = 1,
    retracted: bool = False,
    **data: Any,
) -> dict[str, Any]:
    """A ``social_*`` fact; ``data`` adds to its touch."""
    touch = {
        "channel": "wechat",
        "account_id": "gh-1",
        "scene": None,
        "campaign": None,
        "kol": None,
    }
    return event(
        f"social_{kind}",
        subject,
        natural_key,
        time=time,
        store_id=store_id,
        revision=revision,
        retracted=retracted,
        data=touch | data,
    )


def message(
    subject: UUID, outreach_id: UUID, state: str, revision: int = 1, *, time: datetime = START
) -> dict[str, Any]:
    key = str(outreach_id)
    return social(
        "message_sent",
        subject,
        key,
        time=time,
        revision=revision,
        outreach_id=key,
        coupon_id=None,
        cause="coupon",
        route="subscribe_message",
        state=state,
        reason=None,
    )


def joined(
    subject: UUID, other: UUID, *, time: datetime = START, evidence: str = "wechat_unionid"
) -> dict[str, Any]:
    data = {"other": str(other), "evidence": evidence}
    return event("identities_joined", subject, f"{subject}/{other}", time=time, data=data)


def revoked(subject: UUID, key: str = "push-1", *, time: datetime = START) -> dict[str, Any]:
    data = {"revoked_at": time.isoformat()}
    return event("whereabouts_revoked", subject, key, time=time, data=data)


def erasure_requested(subject: UUID, *, time: datetime = START) -> dict[str, Any]:
    data = {"requested_at": time.isoformat()}
    return event("erasure_requested", subject, "push-1", time=time, data=data)

"""Planning messages: in the transaction of what they tell of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from services.geo_api.offers.domain import GrantedCoupon
from services.geo_api.outreach import repository
from services.geo_api.outreach.domain import COUPON_GRANTED
from services.geo_api.outreach.repository import NewMessage
from shared.direct import Statement
from shared.identity import Identity, Namespace
from shared.ids import named_uuid

OUTREACH_NAMESPACE = UUID("a94f6a0c-7f0b-5c0e-8b0a-4d6c1f2e9b37")
"""Namespace of the ids of messages, which are derived from their cause."""


def outreach_id(cause: str, coupon_id: UUID) -> UUID:
    """The same whenever it is planned, so that one cause makes one message."""
    return named_uuid(OUTREACH_NAMESPACE, f"{cause}/{coupon_id}")


@dataclass(frozen=True, slots=True)
class Writers:
    """The accounts that write to people just now, by their own ids and by those of their apps."""

    account_ids: tuple[str, ...] = ()
    app_ids: frozenset[str] = frozenset()

    def know(self, identity: Identity | None) -> bool:
        """Whether it is the id of a person at one of them, noted yet or not."""
        return (
            identity is not None
            and identity.namespace is Namespace.WECHAT_OPENID
            and identity.issuer in self.app_ids
        )


NOBODY = Writers()

CurrentWriters = Callable[[], Writers]


class Won(NamedTuple):
    """A coupon, and by whom it was won: ``identity`` where the check-in named one."""

    subject_id: UUID
    identity: Identity | None
    coupon: GrantedCoupon


def planning(writers: CurrentWriters, won: Iterable[Won]) -> list[Statement]:
    """Plan a message for each coupon of a person whom an account knows that writes to people.

    One statement; none where nothing was won, or no account writes. The same coupon is
    planned once.
    """
    each = [*won]
    accounts = writers() if each else NOBODY
    if not accounts.account_ids:
        return []
    messages = [
        NewMessage(
            one.subject_id,
            outreach_id(COUPON_GRANTED, one.coupon.coupon_id),
            one.coupon.coupon_id,
            one.coupon.store_id,
            one.coupon.granted_at,
            one.coupon.valid_until,
            accounts.know(one.identity),
        )
        for one in each
    ]
    return repository.planning(messages, accounts.account_ids)

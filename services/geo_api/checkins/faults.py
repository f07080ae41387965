"""What a failed group means: try again, look for the bad item, or tell the callers to come back."""

from enum import Enum, auto

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Fault(Enum):
    CONTENTION = auto()
    """A deadlock or a serialisation failure: another group was quicker."""
    LOST = auto()
    """The connection or the server went away; perhaps after it had committed."""
    HELD = auto()
    """Somebody held a lock, or the statement ran, for too long: waiting again would hold up all."""
    DATA = auto()
    """An item holds what the database does not take."""
    UNKNOWN = auto()


_CONTENTION = frozenset({"40P01", "40001"})
_HELD = frozenset({"55P03", "57014"})
_DATA_CLASSES = frozenset({"22", "23"})
_LOST_CLASSES = frozenset({"08", "53", "57"})
"""Classes of SQLSTATE (PostgreSQL, appendix A): connection, resources, operator intervention."""


_AWAY = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of something
    OSError,
    PoolTimeout,
    TimeoutError,
)


def fault_of(error: Exception) -> Fault:
    """Tell faults apart, whether the driver or SQLAlchemy raised them."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = str(getattr(cause, "sqlstate", None) or "")
    if code in _CONTENTION:
        return Fault.CONTENTION
    if code in _HELD:
        return Fault.HELD
    if code[:2] in _DATA_CLASSES or isinstance(cause, asyncpg.DataError):
        return Fault.DATA
    away = isinstance(cause, _AWAY)
    invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    return Fault.LOST if away or invalidated or code[:2] in _LOST_CLASSES else Fault.UNKNOWN

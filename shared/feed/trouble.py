"""Trouble that lasts is logged when it begins and when it is over, not each time in between."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

_log = structlog.get_logger(__name__)


class Trouble:
    """Logs as ``event``. The database's troubles need no traceback, anything else does."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._is_on = False

    def note(self, error: Exception, **details: str) -> None:
        if not self._is_on:
            is_known = isinstance(error, SQLAlchemyError | OSError)
            _log.error(
                self._event,
                error=type(error).__name__,
                exc_info=None if is_known else error,
                **details,
            )
        self._is_on = True

    def over(self) -> None:
        if self._is_on:
            _log.info(f"{self._event}_no_more")
        self._is_on = False

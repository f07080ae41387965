"""Structured logs, one JSON object a line, without whereabouts, identities or secrets."""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import Processor

current_trace_id: ContextVar[str | None] = ContextVar("solomo_trace_id", default=None)
"""The trace id of the request being answered; each line logged meanwhile carries it."""

WITHHELD = frozenset(
    {
        "latitude", "longitude", "lat", "lon", "lng", "point", "geometry", "coordinates",
        "authorization", "cookie", "token", "jwt", "code", "invitation", "password", "secret",
        "value", "identity", "identities", "phone", "email", "openid", "unionid", "name",
        "address", "body", "query", "query_string", "url", "sealed", "key",
    }
)  # fmt: skip
"""Fields that are never logged, at any depth; so are those that end in ``_`` and one of these."""

SECRET_PARAMETERS = (
    "access_token", "secret", "appsecret", "app_secret", "js_code", "code", "session_key", "ticket",
    "signature", "msg_signature", "echostr", "openid", "unionid", "token",
)  # fmt: skip
"""Parameters of addresses whose values are blotted out wherever an address is logged."""

_IN_ADDRESS = re.compile(rf"(?i)\b({'|'.join(SECRET_PARAMETERS)})=[^&\s\"'<>)]+")
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")
_QUOTED = re.compile(r"""(['"`]).*?\1|\(.*?\)|\[.*?\]|\{.*?\}""", re.DOTALL)
_LONG_WORDS = re.compile(r"\S{25,}")
_MAX_MESSAGE = 200


def configure_logging(level: str = "info", log_format: str = "json") -> None:
    """Send structlog and the standard library's loggers to standard output, in one form.

    uvicorn's access log is switched off: it prints query strings.
    """
    shared_steps: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        explain_exception,
        withhold,
        redact_addresses,
    ]
    structlog.configure(
        processors=[*shared_steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = _StdoutHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[scrub_foreign, *shared_steps],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, _StdoutHandler)]
    root.addHandler(handler)
    root.setLevel(level.upper())
    _quieten_libraries()


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard output is at the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, _stream: TextIO) -> None:
        """There is nothing to set."""


def withhold(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Processor: drop the fields of ``WITHHELD``, at any depth."""
    return _without_withheld(event)


def redacted(text: str) -> str:
    """``text`` without the values of ``SECRET_PARAMETERS`` in the addresses within it."""
    return _IN_ADDRESS.sub(r"\1=…", text) if "=" in text else text


def redact_addresses(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Processor: blot out secrets in addresses, at any depth."""
    return _redacted(event)


class RedactAddresses(logging.Filter):
    """The same for a library's logger, whatever handlers its lines come to."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "=" in message:
            record.msg, record.args = redacted(message), ()
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RedactAddresses)

    def __hash__(self) -> int:
        return hash(RedactAddresses)


def scrub_foreign(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Processor: blot out data in the lines of libraries, but for the server's own.

    asyncio, for one, puts the text of an exception into its message.
    """
    record = event.get("_record")
    if record is not None and not record.name.startswith("uvicorn"):
        event["event"] = scrubbed(str(event["event"]))
    return event


def explain_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Processor: tell an exception by its types, scrubbed messages and frames.

    A traceback as Python prints it may hold SQL parameters or what a caller sent.
    """
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if exc_info and exc_info[1] is not None:
        event["exception"] = _chain(exc_info[1])
    return event


def scrubbed(message: str) -> str:
    """The words of an error message, without what may be somebody's data.

    Numbers, quoted and bracketed parts and words over 24 characters are blotted out, and all
    after the first line, where SQLAlchemy puts statements and their parameters.
    """
    first_line = message.partition("\n")[0][: _MAX_MESSAGE * 4]
    for pattern, blot in ((_QUOTED, "…"), (_LONG_WORDS, "…"), (_NUMBERS, "#")):
        first_line = pattern.sub(blot, first_line)
    return first_line[:_MAX_MESSAGE]


def _chain(error: BaseException) -> list[dict[str, Any]]:
    """The exception and its causes, outermost first, each with its innermost frames."""
    told: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(told) < 5:  # noqa: PLR2004 - deeper tells nothing more
        frames = traceback.extract_tb(current.__traceback__)[-12:]
        told.append(
            {
                "type": type(current).__name__,
                "message": scrubbed(str(current)),
                "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        current = current.__cause__ or current.__context__
    return told


def _without_withheld(node: Any) -> Any:
    if isinstance(node, MutableMapping):
        return {
            name: _without_withheld(child) for name, child in node.items() if not _is_withheld(name)
        }
    if isinstance(node, list | tuple):
        return [_without_withheld(child) for child in node]
    return node


def _redacted(node: Any) -> Any:
    if isinstance(node, str):
        return redacted(node)
    if isinstance(node, MutableMapping):
        return {name: _redacted(child) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [_redacted(child) for child in node]
    return node


def _is_withheld(name: Any) -> bool:
    plain = str(name).lower().replace("-", "_")
    return plain in WITHHELD or plain.rpartition("_")[2] in WITHHELD - {"code", "name", "key"}


def _add_trace_id(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    trace_id = current_trace_id.get()
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event


def _renderer(log_format: str) -> Processor:
    if log_format == "console":
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer(serializer=_to_json)


def _to_json(event: Any, **_: Any) -> str:
    """Dataclasses by their repr, which knows what to keep to itself; orjson would tell all fields."""
    return orjson.dumps(event, default=str, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def _quieten_libraries() -> None:
    """Uvicorn logs through us and no access; httpx would log every address with its query."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).addFilter(RedactAddresses())

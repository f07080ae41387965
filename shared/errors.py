"""What can go wrong, by category; ``shared.problems`` alone turns a category into an HTTP status."""

from dataclasses import dataclass
from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818 - refusals are named as whole phrases, without "Error"
    """A refusal the caller can read and act on.

    ``slug`` names the kind of problem for machines and for the page ``/problems/<slug>``,
    ``title`` is its constant sentence, ``detail`` says what happened this time and what to
    do next. ``extensions`` are further members of the problem document, in snake_case.
    """

    slug: ClassVar[str] = "refused"
    title: ClassVar[str] = "The request was refused"

    def __init__(self, detail: str, **extensions: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions


class NotFound(Refusal):
    """What was asked for does not exist, or the caller may not know that it does."""

    slug = "not-found"
    title = "Not found"


class Conflict(Refusal):
    """The request is well formed, but the present state does not allow it."""

    slug = "conflict"
    title = "The present state does not allow this"


class Forbidden(Refusal):
    """The caller is known and has not the right."""

    slug = "forbidden"
    title = "This token does not have the right"


class Unauthenticated(Refusal):
    """The caller is not known: no token, or one that does not hold."""

    slug = "unauthenticated"
    title = "A valid bearer token is needed"


class Gone(Refusal):
    """It existed and is no more."""

    slug = "gone"
    title = "This is gone"


class PreconditionFailed(Refusal):
    """If-Match named another version than the present one."""

    slug = "precondition-failed"
    title = "The thing was changed by somebody else"


class TooLarge(Refusal):
    """The body or the batch is over its limit."""

    slug = "too-large"
    title = "The request is too large"


class UnsupportedMediaType(Refusal):
    """The body is of a kind that this address does not take."""

    slug = "unsupported-media-type"
    title = "The body is of the wrong kind"


class TooManyRequests(Refusal):
    """A rate limit is used up; ``retry_after_s`` whole seconds later there is room again."""

    slug = "too-many-requests"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_s: int, **extensions: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **extensions)
        self.retry_after_s = retry_after_s


class Unavailable(Refusal):
    """Not now: the same request may be sent again, with the same id or key."""

    slug = "unavailable"
    title = "Not available just now"


class Internal(Refusal):
    """Our own fault, where an answer holds more than this one thing; the logs say what it was."""

    slug = "internal"
    title = "Something went wrong here"


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One malformed field: a JSON Pointer into the body (``/latitude``) or ``?name`` for a query."""

    pointer: str
    detail: str


class Malformed(Refusal):
    """The input breaks a rule of its own form; every faulty field is named."""

    slug = "malformed"
    title = "The input is malformed"

    def __init__(self, *faults: FieldFault) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = faults

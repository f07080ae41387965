"""The wire form of a subject, wherever a caller names one."""

from shared.identity import Namespace
from shared.wire import WireModel, texts


class SubjectIn(WireModel):
    """An identity: who gave it out (``issuer``; empty for phone, member_no, email) and its value."""

    namespace: Namespace
    issuer: str = ""
    value: str

    _storable = texts("issuer", "value")

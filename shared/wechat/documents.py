"""The documents of WeChat's pushes, in XML and JSON, read alike and within limits.

A document is a dict of texts, dicts and lists. Numbers stay the text they were
written as: ids exceed what a float holds, and coordinates are judged where they are used.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from xml.parsers import expat

MAX_BODY: Final = 65_536
"""Bytes. WeChat's longest pushes have a few kilobytes."""

MAX_DEPTH: Final = 6
MAX_NODES: Final = 500

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNKNOWN_CHARACTER = "\ufffd"

_TOO_MANY = f"the body has more than {MAX_NODES} values"
_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH}"
_REPEATED = "the body says something twice"


class UnreadablePush(Exception):  # noqa: N818 - named as a whole phrase, like every refusal here
    """The document is not of the account's format, or goes beyond the limits.

    ``reason`` is for the operator's log and holds nothing of the document.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_xml(body: bytes) -> dict[str, Any]:
    """What stands in the ``<xml>`` element: texts without blanks around them, dicts, lists.

    Elements with elements in them may repeat and then are a list; a repeated leaf is refused, and
    so is any document type declaration, so that no entity is ever declared. Attributes, comments
    and text between elements are passed over. Bytes are UTF-8 whatever the declaration says.

    Raises UnreadablePush.
    """
    text = _decoded(body)
    reader = _XmlReader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        raise UnreadablePush("the body is not well-formed XML") from None
    return reader.document()


class _XmlReader:
    """Builds a document from the calls of an expat parser."""

    __slots__ = ("_nodes", "_open", "_root", "_texts")

    def __init__(self) -> None:
        self._nodes = 0
        self._open: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._root: dict[str, Any] = {}

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnreadablePush(_TOO_MANY)
        if not self._open and name != "xml":
            raise UnreadablePush("the outermost element is not <xml>")
        self._open.append({})
        if len(self._open) > MAX_DEPTH:
            raise UnreadablePush(_TOO_DEEP)
        self._texts.clear()

    def end(self, name: str) -> None:
        members = self._open.pop()
        if not self._open:
            self._root = members
            return
        _add(self._open[-1], name, members or "".join(self._texts).strip())
        self._texts.clear()

    def text(self, data: str) -> None:
        self._texts.append(data)

    def doctype(self, *_: object) -> NoReturn:
        raise UnreadablePush("the body has a document type declaration")

    def document(self) -> dict[str, Any]:
        if not self._root:
            raise UnreadablePush("the <xml> element is empty")
        return self._root


def _add(parent: dict[str, Any], name: str, value: Any) -> None:
    if name not in parent:
        parent[name] = value
        return
    former = parent[name]
    if isinstance(former, str) or isinstance(value, str):
        raise UnreadablePush(_REPEATED)
    if isinstance(former, list):
        former.append(value)
    else:
        parent[name] = [former, value]


def read_json(body: bytes) -> dict[str, Any]:
    """What stands in a JSON object: names without blanks around them, everything else as text.

    ``null`` is the empty text, ``true`` and ``false`` are their names. A repeated name, NaN and
    Infinity are refused; characters that are none (lone surrogates, NUL) become U+FFFD.

    Raises UnreadablePush.
    """
    text = _decoded(body)
    try:
        document = _JSON.decode(text)
    except (ValueError, RecursionError):
        raise UnreadablePush("the body is not well-formed JSON") from None
    if not isinstance(document, dict) or not document:
        raise UnreadablePush("the body is not a JSON object with members")
    return _JsonReader().members(document, 1)


def _refuse_constant(_name: str) -> NoReturn:
    raise UnreadablePush("the body has a number that is none")


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = {_text(name.strip()): value for name, value in pairs}
    if len(members) != len(pairs):
        raise UnreadablePush(_REPEATED)
    return members


_JSON = json.JSONDecoder(
    object_pairs_hook=_members_once,
    parse_int=str,
    parse_float=str,
    parse_constant=_refuse_constant,
)


class _JsonReader:
    """Turns decoded JSON into a document, counting its values."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes = 0

    def members(self, members: dict[str, Any], depth: int) -> dict[str, Any]:
        return {name: self._value(value, depth) for name, value in members.items()}

    def _value(self, value: Any, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnreadablePush(_TOO_MANY)
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, dict | list):
            if depth >= MAX_DEPTH:
                raise UnreadablePush(_TOO_DEEP)
            if isinstance(value, dict):
                return self.members(value, depth + 1)
            return [self._value(item, depth + 1) for item in value]
        return "" if value is None else str(value).lower()


def _text(text: str) -> str:
    if text.isascii():
        return text.replace("\0", _UNKNOWN_CHARACTER)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", _UNKNOWN_CHARACTER)


def _decoded(body: bytes) -> str:
    """The body as text. Expat would take UTF-16 for what it is, so that it must not see any."""
    if len(body) > MAX_BODY:
        raise UnreadablePush(f"the body has more than {MAX_BODY} bytes")
    if b"\0" in body:
        raise UnreadablePush("the body has a NUL in it")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadablePush("the body is not in UTF-8") from None


def write_xml(document: Mapping[str, Any]) -> bytes:
    """The document as WeChat writes it: texts in CDATA, numbers plain, lists as repeated elements.

    ``read_xml`` reads it again, numbers as text; a list of one reads as its one item. Characters
    that XML cannot hold become U+FFFD.

    Raises ValueError for a name that no element can have, or a list within a list.
    """
    return _element("xml", document).encode()


def write_json(document: Mapping[str, Any]) -> bytes:
    """The document as compact JSON in UTF-8. Raises ValueError for a number that is none."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def _element(name: str, value: Any) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("this is not the name of an element")
    if isinstance(value, Mapping):
        inner = "".join(map(_elements, value, value.values()))
    elif isinstance(value, str):
        text = _NOT_XML.sub(_UNKNOWN_CHARACTER, value).replace("]]>", "]]]]><![CDATA[>")
        inner = f"<![CDATA[{text}]]>"
    elif isinstance(value, int | float):
        inner = str(value).lower()
    else:
        raise ValueError("an element holds a text, a number or elements")  # noqa: TRY004
    return f"<{name}>{inner}</{name}>"


def _elements(name: str, value: Any) -> str:
    items = value if isinstance(value, list | tuple) else (value,)
    return "".join(_element(name, item) for item in items)

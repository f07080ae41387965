"""Both readers: what they take, and that they refuse in one way whatever comes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.wechat.documents import (
    MAX_BODY,
    MAX_DEPTH,
    MAX_NODES,
    UnreadablePush,
    read_json,
    read_xml,
    write_json,
    write_xml,
)
from tests.shared.wechat.pushing import DOCUMENTS

Reader = Callable[[bytes], dict[str, Any]]


@given(document=DOCUMENTS)
def test_both_formats_say_the_same(document: dict[str, Any]) -> None:
    assert read_xml(write_xml(document)) == document
    assert read_json(write_json(document)) == document


@given(body=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
@example(body=b"")
@example(body=b"\x00")
@example(body=b"\xef\xbb\xbf{}")
def test_readers_read_or_refuse_in_one_way(body: bytes) -> None:
    for read in (read_xml, read_json):
        try:
            document = read(body)
        except UnreadablePush:
            continue
        assert isinstance(document, dict)
        assert document


@given(inside=st.text("<>/!&;[]CDATAxml?-a \"'", max_size=60))
def test_whatever_is_within_xml_is_read_or_refused(inside: str) -> None:
    try:
        read_xml(f"<xml>{inside}</xml>".encode())
    except UnreadablePush:
        return


@given(text=st.text(max_size=50))
def test_any_text_can_be_written(text: str) -> None:
    """Of what XML cannot hold, U+FFFD is left, and line ends become one."""
    assert read_json(write_json({"a": text})).keys() == {"a"}
    written = read_xml(write_xml({"a": f".{text}."}))["a"]
    assert len(written) >= len(text.replace("\r\n", "\n")) + 2


def xml(inside: str | bytes, before: bytes = b"") -> bytes:
    content = inside.encode() if isinstance(inside, str) else inside
    return before + b"<xml>" + content + b"</xml>"


ENTITY = b'<!DOCTYPE xml [<!ENTITY a "b">]>'
LAUGHS = (
    b'<!DOCTYPE xml [<!ENTITY a "ha">'
    + b"".join(
        f'<!ENTITY a{level} "{f"&a{level - 1 or str()};" * 10}">'.encode() for level in range(1, 9)
    )
    + b"]>"
)

REFUSED_XML = {
    "nothing": b"",
    "blanks": b"  \n",
    "no element": b"hello",
    "an empty element": b"<xml></xml>",
    "text only": b"<xml>hello</xml>",
    "another element": b"<html><a>1</a></html>",
    "two documents": xml("<a>1</a>") * 2,
    "an element left open": b"<xml><a>1</a>",
    "crossed elements": xml("<a><b></a></b>"),
    "a bare document type": xml("<a>1</a>", b"<!DOCTYPE xml>"),
    "an entity": xml("<a>&a;</a>", ENTITY),
    "an entity that is not used": xml("<a>1</a>", ENTITY),
    "a billion laughs": xml("<a>&a8;</a>", LAUGHS),
    "a quadratic blow-up": xml("<a>" + "&a;" * 9_000 + "</a>", ENTITY.replace(b"b", b"b" * 9_000)),
    "an external entity": xml(
        "<a>&x;</a>", b'<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    ),
    "an external subset": xml("<a>1</a>", b'<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd">'),
    "a parameter entity": xml(
        "<a>1</a>", b'<!DOCTYPE xml [<!ENTITY % p SYSTEM "http://127.0.0.1/x">%p;]>'
    ),
    "an attribute of a type": xml("<a>1</a>", b'<!DOCTYPE xml [<!ATTLIST a b CDATA "c">]>'),
    "an entity nobody declared": xml("<a>&nbsp;</a>"),
    "invalid UTF-8": xml(b"<a>\xff</a>"),
    "an overlong UTF-8": xml(b"<a>\xc0\xaf</a>"),
    "a surrogate in UTF-8": xml(b"<a>\xed\xa0\x80</a>"),
    "a surrogate by reference": xml("<a>&#xD800;</a>"),
    "a NUL": xml(b"<a>\0</a>"),
    "a NUL by reference": xml("<a>&#0;</a>"),
    "UTF-16": "<xml><a>1</a></xml>".encode("utf-16"),
    "UTF-16 without a mark": "<xml><a>1</a></xml>".encode("utf-16-le"),
    "UTF-16 the other way round": "<xml><a>1</a></xml>".encode("utf-16-be"),
    "UTF-32": "<xml><a>1</a></xml>".encode("utf-32"),
    "UTF-7": xml("<a>1</a>", b'<?xml version="1.0" encoding="UTF-7"?>').replace(b"<a", b"+ADw-a"),
    "the same leaf twice": xml("<a>1</a><a>2</a>"),
    "the same leaf thrice": xml("<a>1</a><a>1</a><a>1</a>"),
    "a leaf that is a list before": xml("<a><b>1</b></a><a>2</a>"),
    "a leaf that is a list after": xml("<a>2</a><a><b>1</b></a>"),
    "a leaf twice inside": xml("<a><b>1</b><b>2</b></a>"),
    "a repeated attribute": xml('<a b="1" b="2">1</a>'),
    "too deep": xml("<a>" * MAX_DEPTH + "1" + "</a>" * MAX_DEPTH),
    "far too deep": xml("<a>" * 9_000 + "</a>" * 9_000),
    "too many": xml("".join(f"<a{n}/>" for n in range(MAX_NODES))),
    "too large": xml("<a>" + "x" * MAX_BODY + "</a>"),
    "JSON": b'{"a": "1"}',
}

REFUSED_JSON = {
    "nothing": b"",
    "blanks": b"  \n",
    "an empty object": b"{}",
    "a list": b'[{"a": 1}]',
    "a text": b'"a"',
    "a number": b"1",
    "null": b"null",
    "cut off": b'{"a": "1"',
    "more behind": b'{"a": "1"} {"a": "1"}',
    "a byte order mark": b'\xef\xbb\xbf{"a": "1"}',
    "invalid UTF-8": b'{"a": "\xff"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "UTF-16": '{"a": "1"}'.encode("utf-16"),
    "a control character": b'{"a": "\x01"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": {"b": Infinity}}',
    "minus Infinity": b'{"a": [-Infinity]}',
    "single quotes": b"{'a': 1}",
    "a comment": b'{"a": 1 /* b */}',
    "a comma too many": b'{"a": 1,}',
    "the same name twice": b'{"a": 1, "a": 2}',
    "the same name by escape": b'{"a": 1, "\\u0061": 2}',
    "the same name but for blanks": b'{"OpenID": 1, " OpenID": 2}',
    "the same name twice inside": b'{"a": [{"b": 1, "b": 1}]}',
    "too deep": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    "too deep in lists": b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    "far too deep": b'{"a":' * 9_000,
    "far too deep in lists": b'{"a":' + b"[" * 60_000,
    "far too deep and whole": b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "too many": json.dumps(dict.fromkeys(map(str, range(MAX_NODES + 1)))).encode(),
    "too many in a list": json.dumps({"a": [0] * MAX_NODES}).encode(),
    "too large": b'{"a": "' + b"x" * MAX_BODY + b'"}',
    "XML": b"<xml><a>1</a></xml>",
}


@pytest.mark.parametrize("case", REFUSED_XML)
def test_this_xml_is_refused(case: str) -> None:
    with pytest.raises(UnreadablePush):
        read_xml(REFUSED_XML[case])


@pytest.mark.parametrize("case", REFUSED_JSON)
def test_this_json_is_refused(case: str) -> None:
    with pytest.raises(UnreadablePush):
        read_json(REFUSED_JSON[case])


def test_reasons_hold_nothing_of_the_document() -> None:
    for read, cases in ((read_xml, REFUSED_XML), (read_json, REFUSED_JSON)):
        for body in cases.values():
            with pytest.raises(UnreadablePush) as refused:
                read(body)
            assert len(refused.value.reason) < 80
            assert refused.value.__cause__ is None


def test_the_limits_themselves_are_within() -> None:
    deep = MAX_DEPTH - 2
    assert read_xml(xml("<a>" * deep + "<b>1</b>" + "</a>" * deep))
    assert read_json(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)
    assert len(read_xml(xml("".join(f"<a{n}/>" for n in range(MAX_NODES - 1))))) == MAX_NODES - 1
    assert (
        len(read_json(json.dumps(dict.fromkeys(map(str, range(MAX_NODES)))).encode())) == MAX_NODES
    )
    for read, form in ((read_xml, b"<xml><a>%s</a></xml>"), (read_json, b'{"a":"%s"}')):
        text = b"x" * (MAX_BODY - len(form) + 2)
        assert read(form % text) == {"a": text.decode()}


READ_XML = {
    "<a> <![CDATA[ b ]]> </a>": {"a": "b"},
    "<a>b<!-- c -->d</a>": {"a": "bd"},
    "<a>b<![CDATA[c]]>d</a>": {"a": "bcd"},
    "<a><![CDATA[]]></a><b/>": {"a": "", "b": ""},
    "<a>&lt;&amp;&#x4f60;&#22909;</a>": {"a": "<&你好"},
    "<a>1</a>\n <b><c>2</c> text between </b>": {"a": "1", "b": {"c": "2"}},
    "<a x='1'>1</a><?target data?>": {"a": "1"},
    "<l><t>1</t></l>": {"l": {"t": "1"}},
    "<l><t>1</t></l><m>2</m><l><t>1</t></l>": {"l": [{"t": "1"}, {"t": "1"}], "m": "2"},
    "<a><![CDATA[]]]]><![CDATA[>]]></a>": {"a": "]]>"},
    f"<a>{'9' * 5000}</a>": {"a": "9" * 5000},
    "<a>1e999</a><b>NaN</b>": {"a": "1e999", "b": "NaN"},
}


@pytest.mark.parametrize("inside", READ_XML)
def test_this_xml_is_read(inside: str) -> None:
    assert read_xml(xml(inside)) == READ_XML[inside]
    assert read_xml(b'\xef\xbb\xbf<?xml version="1.0"?>\n' + xml(inside)) == READ_XML[inside]


def test_xml_is_utf_8_whatever_it_declares() -> None:
    body = xml("<a>你好</a>", b'<?xml version="1.0" encoding="gbk"?>')
    assert read_xml(body) == {"a": "你好"}


READ_JSON = {
    '{" a ": " b "}': {"a": " b "},
    '{"a": 1760000000, "b": 23.50, "c": -0.0}': {"a": "1760000000", "b": "23.50", "c": "-0.0"},
    '{"a": null, "b": true, "c": false}': {"a": "", "b": "true", "c": "false"},
    '{"a": {"b": 1}}': {"a": {"b": "1"}},
    '{"a": [{"b": 1}, {"b": 1}], "c": []}': {"a": [{"b": "1"}, {"b": "1"}], "c": []},
    '{"a": 24000000000000001}': {"a": "24000000000000001"},
    f'{{"a": {"9" * 5000}}}': {"a": "9" * 5000},
    '{"a": 1e999999999}': {"a": "1e999999999"},
    '{"a": "\\ud83d\\ude00 \\ud83d"}': {"a": "😀 \ufffd"},
    '{"a": "b\\u0000c"}': {"a": "b\ufffdc"},
    ' \n{"a": "[[[[[[[[{{{{{{{{"}\n': {"a": "[[[[[[[[{{{{{{{{"},
}


@pytest.mark.parametrize("body", READ_JSON)
def test_this_json_is_read(body: str) -> None:
    assert read_json(body.encode()) == READ_JSON[body]


def test_numbers_are_written_plain_and_lists_as_repeated_elements() -> None:
    document = {"a": 1, "b": 2.5, "c": True, "d": [{"e": "f"}, {"e": 3}], "g": {}}
    assert write_xml(document) == (
        b"<xml><a>1</a><b>2.5</b><c>true</c><d><e><![CDATA[f]]></e></d><d><e>3</e></d><g></g></xml>"
    )
    assert write_json(document) == (b'{"a":1,"b":2.5,"c":true,"d":[{"e":"f"},{"e":3}],"g":{}}')


@pytest.mark.parametrize("name", ["", "1a", "a b", "a>", "a/", "é"])
def test_a_name_that_no_element_can_have_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="name of an element"):
        write_xml({name: "1"})


def test_what_no_element_can_hold_is_not_written() -> None:
    for value in (None, b"1", [["1"]]):
        with pytest.raises(ValueError, match="an element holds"):
            write_xml({"a": value})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": float("nan")})

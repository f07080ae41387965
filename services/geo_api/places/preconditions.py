"""ETag, If-Match and If-None-Match: a version as a strong entity tag (RFC 9110, section 8.8.3)."""

import re
from typing import Annotated

from fastapi import Depends, Header

from services.geo_api.places.domain import Condition
from shared.errors import FieldFault, Malformed

_TAGS = re.compile(r'\s*(?:W/)?"[^"]*"\s*(?:,\s*(?:W/)?"[^"]*"\s*)*')
_STRONG_VERSION = re.compile(r'(?<!W/)"(\d{1,9})"')


def etag(version: int) -> str:
    return f'"{version}"'


def _condition(
    if_match: Annotated[
        str | None, Header(description='Change only this version, such as `"3"`')
    ] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: create only")] = None,
) -> Condition:
    """Raises Malformed for what is no list of entity tags."""
    if if_none_match is not None and if_none_match.strip() != "*":
        raise Malformed(FieldFault("header:If-None-Match", "only * is known here"))
    if if_match is None:
        return Condition(is_new=if_none_match is not None)
    if if_match.strip() == "*":
        return Condition(exists=True, is_new=if_none_match is not None)
    if not _TAGS.fullmatch(if_match):
        raise Malformed(FieldFault("header:If-Match", 'must be an ETag, such as "3", or *'))
    versions = frozenset(int(version) for version in _STRONG_VERSION.findall(if_match))
    return Condition(versions=versions, is_new=if_none_match is not None)


IfVersion = Annotated[Condition, Depends(_condition)]
"""The condition of a PUT or DELETE, from its headers; a weak tag matches nothing."""

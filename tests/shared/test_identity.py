"""Identities have one normal form, frozen as version 1."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.identity import NORMALISER_VERSION, Identity, Namespace, normalise, subject_id
from shared.ids import SUBJECT_NAMESPACE

VECTORS = json.loads((Path(__file__).parents[2] / "shared/contracts/identity_v1.json").read_text())
KEY = bytes.fromhex(VECTORS["key_hex"])
readable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50)


@pytest.mark.parametrize("vector", VECTORS["vectors"])
def test_the_vectors_of_version_1_hold(vector: dict[str, Any]) -> None:
    identity = normalise(Namespace(vector["namespace"]), vector["issuer"], vector["value"])
    assert VECTORS["normaliser"] == NORMALISER_VERSION
    assert (identity.issuer, identity.value) == (vector["normal_issuer"], vector["normal_value"])
    assert str(subject_id(KEY, identity)) == vector["subject_id"]


@given(issuer=readable, value=readable)
def test_the_subject_id_is_a_uuid5_over_an_hmac_of_canonical_json(issuer: str, value: str) -> None:
    identity = Identity(Namespace.APP_USER, issuer, value)
    canonical = json.dumps(
        ["app_user", issuer, value], ensure_ascii=False, separators=(",", ":")
    ).encode()
    mac = hmac.new(KEY, canonical, hashlib.sha256).hexdigest()
    assert subject_id(KEY, identity) == uuid5(SUBJECT_NAMESPACE, mac)


@given(value=readable)
def test_normalising_twice_is_normalising_once(value: str) -> None:
    try:
        once = normalise(Namespace.APP_USER, "demo", value)
    except Malformed:
        return
    assert normalise(once.namespace, once.issuer, once.value) == once


@pytest.mark.parametrize(
    ("namespace", "issuer", "value", "pointer"),
    [
        ("phone", "", "13800138000", "/value"),
        ("phone", "cn", "+8613800138000", "/issuer"),
        ("app_user", "", "42", "/issuer"),
        ("app_user", "demo", "null", "/value"),
        ("app_user", "demo", "Anonymous", "/value"),
        ("app_user", "demo", "0000-00", "/value"),
        ("app_user", "demo", "  ", "/value"),
        ("app_user", "demo", "x" * 201, "/value"),
        ("email", "", "not an address", "/value"),
    ],
)
def test_what_names_nobody_is_refused(
    namespace: str, issuer: str, value: str, pointer: str
) -> None:
    with pytest.raises(Malformed) as refused:
        normalise(Namespace(namespace), issuer, value, at="/subject")
    assert refused.value.faults[0].pointer == f"/subject{pointer}"


def test_another_key_gives_other_subjects() -> None:
    identity = normalise(Namespace.PHONE, "", "+8613800138000")
    assert subject_id(KEY, identity) != subject_id(b"x" * 32, identity)

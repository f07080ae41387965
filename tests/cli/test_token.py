import json
from pathlib import Path

import pytest

from cli.__main__ import main
from shared.auth import Role, TokenVerifier
from shared.identity import Namespace, normalise, subject_id
from shared.keys import load_geo_keys, load_identity_key

MEMBER = ["member", "--namespace", "phone", "--value", "+86 138 0013 8000"]


@pytest.fixture
def verifier(installation_keys: Path, monkeypatch: pytest.MonkeyPatch) -> TokenVerifier:
    monkeypatch.setenv("SOLOMO_KEYS_DIR", str(installation_keys))
    return TokenVerifier(load_geo_keys(installation_keys / "geo").public)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["server", "--name", "app"], (Role.SERVER, "app", None)),
        (["marketer", "--name", "anna"], (Role.MARKETER, "anna", None)),
        (["staff", "--store", "s1", "--staff-id", "7"], (Role.STAFF, "7", "s1")),
    ],
)
def test_a_token_carries_its_role(
    words: list[str],
    expected: tuple[Role, str, str | None],
    verifier: TokenVerifier,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["token", *words]) == 0
    principal = verifier.verify(capsys.readouterr().out.strip())
    assert (principal.role, principal.name, principal.store_id) == expected


def test_a_member_s_token_names_the_subject_of_the_identity(
    verifier: TokenVerifier, installation_keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", *MEMBER, "--ttl", "15m", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    identity = normalise(Namespace.PHONE, "", "+8613800138000")
    expected = subject_id(load_identity_key(installation_keys / "operator"), identity)
    assert verifier.verify(answer["token"]).subject_id == expected
    assert answer["expires_in_s"] == 900


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["member", "--namespace", "phone", "--value", "42"], "must be a number with its country"),
        (["member", "--namespace", "planet", "--value", "42"], "not a namespace"),
    ],
)
def test_an_identity_that_is_none_is_refused(
    words: list[str], said: str, verifier: TokenVerifier, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", *words]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("ttl", ["0", "1y", "367d", "-5m"])
def test_a_lifetime_that_is_none_is_refused(ttl: str, verifier: TokenVerifier) -> None:
    with pytest.raises(SystemExit):
        main(["token", "server", f"--ttl={ttl}"])

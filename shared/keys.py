"""The keys of an installation: who holds which, and how they lie in the data folder.

``keys/operator`` signs the tokens of servers, marketers and staff; ``keys/geo`` is geo_api's and
``keys/member`` member_api's. Each folder holds only what its reader needs::

    identity.key      32 bytes, base64url: derives subject ids; never changes, belongs to the backup
    signing.jwk.json  private Ed25519 key of this party
    jwks.json         public keys of all three parties, by ``kid``
    storage.key       32 bytes: encrypts this service's columns (geo and member)
    sealing.key       private X25519 key (member only)
    sealing.pub       public X25519 key (geo only)
"""

import base64
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from joserfc.jwk import KeySet, OKPKey

from shared.sealing import OpeningKey, SealingKey, StorageKey

PARTIES = ("operator", "geo", "member")
IRREPLACEABLE = ("geo/storage.key", "member/storage.key", "member/sealing.key")
"""Under a new one of these what was written before cannot be read. The identity key is another
such, but every party has a copy; signing keys can be made anew."""
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """What a service holds: the identity key, its signing key, everybody's public keys."""

    identity: bytes
    signing: OKPKey
    public: KeySet
    storage: StorageKey


@dataclass(frozen=True, slots=True)
class GeoKeys(ServiceKeys):
    sealing: SealingKey


@dataclass(frozen=True, slots=True)
class MemberKeys(ServiceKeys):
    opening: OpeningKey


def create_installation_keys(directory: Path) -> None:
    """Make whatever key is missing below ``directory``; never touch one that exists."""
    for party in PARTIES:
        (directory / party).mkdir(mode=0o700, parents=True, exist_ok=True)
    _share_secret(directory, "identity.key", PARTIES)
    for party in ("geo", "member"):
        _share_secret(directory, "storage.key", (party,))
    _create_sealing_pair(directory)
    for party in PARTIES:
        path = directory / party / "signing.jwk.json"
        if not path.exists():
            key = OKPKey.generate_key("Ed25519", {"kid": f"{party}-{secrets.token_hex(4)}"})
            _write(path, json.dumps(key.as_dict(private=True)))
    _publish(directory)


def missing_keys(directory: Path) -> list[str]:
    """Those below ``directory`` that no new key can stand in for."""
    missing = [name for name in IRREPLACEABLE if not (directory / name).exists()]
    copies = [directory / party / "identity.key" for party in PARTIES]
    return missing if any(path.exists() for path in copies) else ["*/identity.key", *missing]


def identity_fingerprint(directory: Path) -> str:
    """Tells identity keys apart without giving them away; ``directory`` is a party's folder."""
    return hashlib.sha256(b"solomo identity key" + _secret(directory, "identity.key")).hexdigest()


def load_geo_keys(directory: Path) -> GeoKeys:
    """Raises FileNotFoundError naming the missing key."""
    public = X25519PublicKey.from_public_bytes(_secret(directory, "sealing.pub"))
    return GeoKeys(**_service_keys(directory), sealing=SealingKey(public))


def load_member_keys(directory: Path) -> MemberKeys:
    """Raises FileNotFoundError naming the missing key."""
    private = X25519PrivateKey.from_private_bytes(_secret(directory, "sealing.key"))
    return MemberKeys(**_service_keys(directory), opening=OpeningKey(private))


def load_signing_key(directory: Path) -> OKPKey:
    return OKPKey.import_key(json.loads((directory / "signing.jwk.json").read_text()))


def load_identity_key(directory: Path) -> bytes:
    return _secret(directory, "identity.key")


def _service_keys(directory: Path) -> dict[str, Any]:
    return {
        "identity": load_identity_key(directory),
        "signing": load_signing_key(directory),
        "public": KeySet.import_key_set(json.loads((directory / "jwks.json").read_text())),
        "storage": StorageKey(_secret(directory, "storage.key")),
    }


def _share_secret(directory: Path, name: str, parties: tuple[str, ...]) -> None:
    """One secret in the folders of several parties: an existing copy wins, a missing one is made."""
    paths = [directory / party / name for party in parties]
    existing = next((path.read_text() for path in paths if path.exists()), None)
    text = existing or base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    for path in paths:
        if not path.exists():
            _write(path, text)


def _create_sealing_pair(directory: Path) -> None:
    path = directory / "member" / "sealing.key"
    if not path.exists():
        raw = X25519PrivateKey.generate().private_bytes_raw()
        _write(path, base64.urlsafe_b64encode(raw).decode())
    private = X25519PrivateKey.from_private_bytes(_secret(path.parent, path.name))
    raw_public = private.public_key().public_bytes_raw()
    _write(directory / "geo" / "sealing.pub", base64.urlsafe_b64encode(raw_public).decode())


def _publish(directory: Path) -> None:
    keys = [load_signing_key(directory / party).as_dict(private=False) for party in PARTIES]
    for party in PARTIES:
        _write(directory / party / "jwks.json", json.dumps({"keys": keys}))


def _secret(directory: Path, name: str) -> bytes:
    return base64.urlsafe_b64decode((directory / name).read_text())


def _write(path: Path, text: str) -> None:
    """Write whole or not at all, readable by the owner only."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)

"""Encryption at rest and between the services, on well-known constructions only.

Sealing (HPKE, RFC 9180, X25519 / HKDF-SHA-256 / AES-128-GCM): anybody with the public key can
close a box, only the private key opens it. Identities travel and rest so. Storage encryption
(AES-256-GCM): one key for closing and opening.
"""

import os
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
_IDENTITY = b"solomo identity v1"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class SealingKey:
    """Closes boxes that only the holder of the private key opens."""

    public: X25519PublicKey

    def seal(self, plaintext: bytes) -> bytes:
        return _SUITE.encrypt(plaintext, self.public, info=_IDENTITY)


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """Opens what was sealed to its public half."""

    private: X25519PrivateKey

    def open(self, box: bytes) -> bytes:
        """Raises ``cryptography.exceptions.InvalidTag`` when the box was not sealed to this key."""
        return _SUITE.decrypt(box, self.private, info=_IDENTITY)

    @property
    def sealing(self) -> SealingKey:
        return SealingKey(self.private.public_key())


@dataclass(frozen=True, slots=True)
class StorageKey:
    """Encrypts columns. ``context`` binds a ciphertext to its place: moved elsewhere it won't open."""

    key: bytes

    def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + _cipher(self.key).encrypt(nonce, plaintext, context)

    def decrypt(self, ciphertext: bytes, context: bytes) -> bytes:
        """Raises ``cryptography.exceptions.InvalidTag`` when key, context or text is another."""
        nonce, body = ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:]
        return _cipher(self.key).decrypt(nonce, body, context)


@lru_cache(maxsize=64)
def _cipher(key: bytes) -> AESGCM:
    """Made once per key: the key schedule costs more than most of what is encrypted."""
    return AESGCM(key)

"""Encryption at rest, with a key id in the ciphertext so that the master key can be rotated while the gateway runs.

Form: ``v1.<key id>.<base64url(nonce + AES-256-GCM ciphertext)>``; of bytes, the nonce and the ciphertext stand as they are. The associated
data names table, row and field: a ciphertext copied to another row does not decrypt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from llm_gateway.core.secret import Secret
from llm_gateway.models import ProviderKey


class VaultError(Exception):
    """A ciphertext cannot be turned back; the message says which key is missing and never holds a secret."""


def place_of(key: ProviderKey) -> str:
    """What the ciphertext of a provider key is bound to: this row of this table."""
    return f"providerkey:{key.uid}:secret"


def seal(plain: str, *, place: str) -> str:
    """Encrypt with the newest key. ``place``: ``table:row:field``."""
    key_id, key = next(iter(_keys(settings.COGO_ENCRYPTION_KEYS).items()))
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, plain.encode(), _associated(place))
    return f"v1.{key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def open_sealed(ciphertext: str, *, place: str) -> Secret:
    """Decrypt with whichever key it names. Raises :class:`VaultError`."""
    try:
        version, key_id, payload = ciphertext.split(".")
        raw = base64.urlsafe_b64decode(payload)
    except (ValueError, binascii.Error):
        raise VaultError("the stored ciphertext is damaged; enter the secret again") from None
    key = _keys(settings.COGO_ENCRYPTION_KEYS).get(key_id)
    if version != "v1" or key is None:
        raise VaultError(f"encryption key {key_id!r} is not in COGO_ENCRYPTION_KEYS; add it back or enter the secret again")
    try:
        return Secret(AESGCM(key).decrypt(raw[:12], raw[12:], _associated(place)).decode())
    except (InvalidTag, ValueError):
        raise VaultError("the stored ciphertext does not belong to this row or was changed; enter the secret again") from None


def is_current(ciphertext: str | bytes) -> bool:
    """Whether it is sealed with the newest key."""
    named = ciphertext.split(".")[1:2] if isinstance(ciphertext, str) else [bytes(ciphertext).split(b".", 2)[1].decode()]
    return named == [next(iter(_keys(settings.COGO_ENCRYPTION_KEYS)))]


def seal_bytes(plain: bytes, *, place: str) -> bytes:
    """As :func:`seal`, for what is stored as bytes."""
    key_id, key = next(iter(_keys(settings.COGO_ENCRYPTION_KEYS).items()))
    nonce = os.urandom(12)
    return b"v1." + key_id.encode() + b"." + nonce + AESGCM(key).encrypt(nonce, plain, _associated(place))


def open_bytes(ciphertext: bytes, *, place: str) -> bytes:
    """What :func:`seal_bytes` sealed. Raises :class:`VaultError`."""
    version, _, rest = ciphertext.partition(b".")
    key_id, dot, raw = rest.partition(b".")
    key = _keys(settings.COGO_ENCRYPTION_KEYS).get(key_id.decode("latin-1"))
    if version != b"v1" or not dot or key is None:
        raise VaultError(f"encryption key {key_id[:20]!r} is not in COGO_ENCRYPTION_KEYS; add it back")
    try:
        return AESGCM(key).decrypt(raw[:12], raw[12:], _associated(place))
    except (InvalidTag, ValueError):
        raise VaultError("the stored bytes do not belong to this row or were changed") from None


def digest(client_key: str) -> bytes:
    """What is stored of a client key: HMAC-SHA256 under the installation's pepper."""
    return hmac.digest(settings.COGO_KEY_PEPPER.encode(), client_key.encode(), hashlib.sha256)


def end_user_key() -> bytes:
    """What names of callers' end users are made pseudonyms with; no other use of the pepper leads to it."""
    return hmac.digest(settings.COGO_KEY_PEPPER.encode(), b"cogo:end users", hashlib.sha256)


def cache_secret() -> bytes:
    """Under which requests are digested for the answer cache. Another newest key makes another secret, so that nothing kept before a
    rotation is found after it."""
    newest = next(iter(_keys(settings.COGO_ENCRYPTION_KEYS)))
    return hmac.digest(settings.COGO_KEY_PEPPER.encode(), b"answer cache\0" + newest.encode(), hashlib.sha256)


@lru_cache(maxsize=4)
def _keys(setting: str) -> dict[str, bytes]:
    """``id:base64url`` entries, newest first, comma-separated."""
    keys = {}
    for entry in filter(None, (part.strip() for part in setting.split(","))):
        key_id, _, text = entry.partition(":")
        try:
            key = base64.urlsafe_b64decode(text)
        except (ValueError, binascii.Error):
            key = b""
        if len(key) != 32 or not key_id:
            raise VaultError("COGO_ENCRYPTION_KEYS must be a comma-separated list of id:base64url-of-32-bytes, newest first")
        keys[key_id] = key
    if not keys:
        raise VaultError("COGO_ENCRYPTION_KEYS is empty")
    return keys


def _associated(place: str) -> bytes:
    return b"cogo:" + place.encode()

"""Put a provider key into the vault. Write-only: nothing here or above gives it back."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from llm_gateway.core.keys import KeyState
from llm_gateway.core.secret import mask
from llm_gateway.models import DeploymentHealth, Provider, ProviderKey
from llm_gateway.stores import vault

from . import ActionError

MAX_LENGTH = 4096


def clean_secret(plain: str) -> str:
    """``plain`` without surrounding white space. Raises :class:`ActionError` for what cannot be an HTTP credential."""
    secret = plain.strip()
    if not secret:
        raise ActionError("The key is empty; paste the whole key.")
    if len(secret) > MAX_LENGTH:
        raise ActionError(f"The key is longer than {MAX_LENGTH} characters; paste only the key.")
    if not all("!" <= character <= "~" for character in secret):
        raise ActionError("The key holds spaces, line breaks or characters outside ASCII; paste only the key itself.")
    return secret


def store_provider_key(provider: Provider, plain: str, name: str = "default", from_environment: str = "") -> ProviderKey:
    """Create or replace the key ``name`` of ``provider``; its state becomes ``unchecked`` and it may be tried at once.

    The same secret again changes nothing. Raises :class:`ActionError` for a malformed key.
    """
    return _store(provider, clean_secret(plain), name, from_environment)


def store_keyless(provider: Provider, name: str = "default") -> ProviderKey:
    """A row for a host that takes no key: requests to it carry no credential."""
    return _store(provider, "", name, "")


@transaction.atomic
def _store(provider: Provider, secret: str, name: str, from_environment: str) -> ProviderKey:
    name = name.strip()
    if not name or len(name) > 100:
        raise ActionError("A provider key needs a name of at most 100 characters.")
    key, created = ProviderKey.objects.select_for_update().get_or_create(provider=provider, name=name)
    if not created and _holds(key, secret):
        if key.from_environment != from_environment:
            key.from_environment = from_environment
            key.save(update_fields=["from_environment"])
        return key
    key.ciphertext = vault.seal(secret, place=vault.place_of(key)) if secret else ""
    key.hint = mask(secret) if secret else ""
    key.from_environment = from_environment
    key.state, key.reason, key.evidence = KeyState.UNCHECKED, "", ""
    key.checked_at, key.checking_until, key.next_check_at = None, None, timezone.now()
    key.save()
    DeploymentHealth.objects.filter(provider_key=key).delete()
    return key


def _holds(key: ProviderKey, secret: str) -> bool:
    if not key.ciphertext or not secret:
        return not key.ciphertext and not secret
    try:
        return vault.open_sealed(key.ciphertext, place=vault.place_of(key)).reveal() == secret
    except vault.VaultError:
        return False

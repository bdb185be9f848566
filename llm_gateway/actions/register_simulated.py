"""Point the four services at the provider simulator and back again, without losing anything of the operator's.

While simulated, a provider's real keys are switched off, so that none is ever sent to the simulator; what was there is remembered and put
back by :func:`leave_simulated`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from llm_gateway.models import Provider, ProviderKey

from ._memory import forget, recall, remember
from .store_provider_key import store_provider_key

MEMORY = "simulate"
KEY_NAME = "simulator"
SOURCE = "simulator"


@transaction.atomic
def register_simulated(base_urls: Mapping[str, str]) -> list[ProviderKey]:
    """``base_urls`` by service name. Returns the simulated keys, to be checked. Idempotent; a new address replaces the old one."""
    memory = recall(MEMORY)
    keys = []
    for provider in Provider.objects.filter(slug__in=base_urls).order_by("priority", "slug"):
        real = provider.keys.exclude(from_environment=SOURCE).filter(enabled=True)
        past = memory.setdefault(
            provider.slug, {"base_url": provider.base_url, "allow_private": provider.allow_private, "keys": [], "at": ""}
        )
        past["keys"] = sorted({*past["keys"], *real.values_list("pk", flat=True)})
        past["at"] = base_urls[provider.slug].rstrip("/")
        real.update(enabled=False)
        wanted = {"base_url": past["at"], "allow_private": True, "simulated": True}
        if any(getattr(provider, name) != value for name, value in wanted.items()):
            for name, value in wanted.items():
                setattr(provider, name, value)
            provider.save(update_fields=[*wanted, "updated_at"])
        keys.append(store_provider_key(provider, f"sim-valid-{provider.slug}", KEY_NAME, SOURCE))
    if keys:
        remember(MEMORY, memory)
    return keys


@transaction.atomic
def leave_simulated() -> list[str]:
    """The slugs that are real again. Does nothing when nothing is simulated."""
    memory = recall(MEMORY)
    left = []
    for provider in Provider.objects.filter(simulated=True):
        _restore(provider, memory.get(provider.slug, {}))
        left.append(provider.slug)
    if memory:
        forget(MEMORY)
    return left


def _restore(provider: Provider, past: dict[str, Any]) -> None:
    provider.simulated = False
    if provider.base_url == past.get("at"):
        provider.base_url = past["base_url"]
        provider.allow_private = past["allow_private"]
    provider.save(update_fields=["simulated", "base_url", "allow_private", "updated_at"])
    provider.keys.filter(from_environment=SOURCE).delete()
    provider.keys.filter(pk__in=past.get("keys", ())).update(enabled=True)

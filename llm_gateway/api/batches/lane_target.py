"""Whom a shard was sent to, as the catalogue has it now."""

from __future__ import annotations

import msgspec

from llm_gateway.core.catalog import Credential, ModelInfo, ProviderInfo, Snapshot, Target
from llm_gateway.core.secret import Secret
from llm_gateway.engine.batch_lane import batch_rates
from llm_gateway.stores.batch_shards import Held


def target_of(shard: Held, snapshot: Snapshot) -> Target:
    """Its own key, else another of the same provider. Where the provider has gone from the catalogue, one that has no batch API: enough to
    end rows with."""
    provider = snapshot.providers.get(shard.provider or 0) or _gone(shard)
    keys = snapshot.credentials.get(provider.id, ())
    key = next((one for one in keys if one.id == shard.credential), None) or next(iter(keys), None)
    known = next((one for one in (*snapshot.models.values(), *snapshot.patterns) if one.id == shard.model), None)
    model = ModelInfo(id=shard.model or 0, provider_id=provider.id, name=shard.upstream_id, upstream_id=shard.upstream_id)
    if known is not None:
        model = msgspec.structs.replace(known, rates=batch_rates(known))
    return Target(
        provider=provider,
        credential=key or Credential(id=shard.credential or 0, provider_id=provider.id, name="", secret=Secret("")),
        model=model,
        upstream_id=shard.upstream_id,
    )


def _gone(shard: Held) -> ProviderInfo:
    return ProviderInfo(id=shard.provider or 0, slug="gone", title="", service="custom", wire="openai_chat", base_url="")

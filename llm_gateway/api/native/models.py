"""GET ``models``: what this key may use, from the snapshot alone."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rest_framework.request import Request

from llm_gateway.core.catalog import AliasInfo, Identity, ModelInfo, Snapshot
from llm_gateway.core.money import Rate, rate_at
from llm_gateway.engine.resolve import permitted, usable_names

from .auth import HasScope
from .host import gateway
from .openapi import documented
from .shapes import AliasBody, ModelBody, Models, Price
from .views import AsyncAPIView


class ModelsView(AsyncAPIView):
    """Models and aliases this key may use, with price, context window, capabilities, lifecycle and successor."""

    permission_classes = (HasScope("read"),)

    @documented("models", "Models and aliases this key may use", answer=Models)
    async def get(self, request: Request) -> Models:
        return models_of(gateway().catalog.snapshot(), self.identity, datetime.now(UTC))


def models_of(snapshot: Snapshot, identity: Identity, now: datetime) -> Models:
    usable = set(usable_names(snapshot, identity))
    aliases = [alias for alias in snapshot.aliases.values() if _may_ask(snapshot, identity, alias)]
    # A key that may use an alias sees the models behind it.
    reachable = {name for alias in aliases for name in alias.models if name in snapshot.models}
    # A pattern lets names through and is none itself.
    named = [model for model in snapshot.models.values() if not model.pattern]
    shown = [m for m in named if permitted(snapshot, identity, m.name, [m]) or m.name in reachable]
    return Models(
        models=[_model(snapshot, model, model.name in usable, now) for model in sorted(shown, key=lambda m: (m.position, m.name))],
        aliases=[
            AliasBody(name=alias.name, models=list(alias.models), available=alias.name in usable)
            for alias in sorted(aliases, key=lambda alias: alias.name)
        ],
    )


def _may_ask(snapshot: Snapshot, identity: Identity, alias: AliasInfo) -> bool:
    """One whose models are all gone stands as well, unavailable."""
    models = [snapshot.models[name] for name in alias.models if name in snapshot.models]
    return not identity.models or alias.name in identity.models or permitted(snapshot, identity, alias.name, models)


def _model(snapshot: Snapshot, model: ModelInfo, available: bool, now: datetime) -> ModelBody:
    provider = snapshot.providers.get(model.provider_id)
    return ModelBody(
        name=model.name,
        title=model.title,
        provider=provider.slug if provider else "",
        upstream_id=model.upstream_id,
        lifecycle=model.lifecycle.value,
        retires_on=model.retires_on,
        successor=model.successor,
        available=available,
        auto=model.auto and not model.pattern,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        capabilities=sorted(model.capabilities),
        price=_bands(model.rates, now),
    )


def _bands(rates: tuple[Rate, ...], now: datetime) -> list[Price] | None:
    """The bands of the standard price list in force, lowest first."""
    edges = sorted({rate.min_prompt_tokens for rate in rates})
    found: list[Price] = []
    for edge in edges:
        rate = rate_at(rates, now, edge)
        if rate is not None and rate.min_prompt_tokens == edge:
            found.append(
                Price(
                    min_prompt_tokens=edge,
                    input=_per_million(rate.input),
                    output=_per_million(rate.output),
                    cache_read=None if rate.cache_read is None else _per_million(rate.cache_read),
                    cache_write=None if rate.cache_write is None else _per_million(rate.cache_write),
                )
            )
    return found or None


def _per_million(pico_per_token: int) -> str:
    text = f"{Decimal(pico_per_token).scaleb(-6):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

"""The embedded model as an ordinary provider row named ``local``: free on purpose, tried after every real provider."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.db import transaction

from llm_gateway.models import Alias, AliasTarget, LanguageModel, Provider, ProviderKey

from .add_provider import add_provider

SLUG = "local"
PRIORITY = 90
FREE = "free local model"


@transaction.atomic
def register_local(
    base_url: str,
    model: str,
    title: str = "",
    *,
    key: str | None = None,
    context_window: int | None = None,
    max_output_tokens: int | None = None,
    capabilities: Sequence[str] = (),
) -> LanguageModel:
    """Idempotent; the address and the key change with every start. What the operator disabled stays disabled."""
    known = Provider.objects.filter(slug=SLUG).first()
    provider, credential = add_provider(
        SLUG,
        "openai_chat",
        base_url,
        key=key,
        models=[model],
        price_in=Decimal(0),
        price_out=Decimal(0),
        price_source=FREE,
        allow_private=True,
        priority=PRIORITY if known is None else None,
        title="Local model" if known is None else "",
    )
    if not credential.enabled:
        credential.enabled = True
        credential.save(update_fields=["enabled"])
    row = provider.models.get(upstream_id=model)
    facts = {"title": title, "context_window": context_window, "max_output_tokens": max_output_tokens, "capabilities": list(capabilities)}
    missing = {name: value for name, value in facts.items() if value and not getattr(row, name)}
    if missing:
        for name, value in missing.items():
            setattr(row, name, value)
        row.save(update_fields=[*missing, "updated_at"])
    if not Alias.objects.filter(name=SLUG).exists() and not LanguageModel.objects.filter(name=SLUG).exists():
        AliasTarget.objects.create(alias=Alias.objects.create(name=SLUG, source=FREE), model=row)
    return row


def retire_local() -> None:
    """Nobody serves it now: its keys leave routing, everything else stays for the next time."""
    ProviderKey.objects.filter(provider__slug=SLUG, enabled=True).update(enabled=False)

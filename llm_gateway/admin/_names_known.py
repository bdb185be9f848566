"""Every name a caller may use, with prices and windows, for the scripts of the console."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from llm_gateway.models import Alias, LanguageModel, Price, Strategy

from ._show import price


def names() -> dict[str, Any]:
    now = timezone.now()
    rates: dict[int, str] = {}
    standard = Price.objects.filter(tier="standard", min_prompt_tokens=0, effective_from__lte=now).order_by("effective_from")
    for model, before, after in standard.values_list("model_id", "input", "output"):
        rates[model] = f"{price(before)} / {price(after)}"
    rows = LanguageModel.objects.filter(enabled=True, provider__enabled=True).exclude(lifecycle="retired").select_related("provider")
    return {
        "models": [
            {
                "name": row.name, "provider": row.provider.slug, "title": row.provider.title, "id": row.upstream_id,
                "price": rates.get(row.pk, "unpriced"), "window": row.context_window,
            }
            for row in rows.order_by("provider__priority", "provider__title", "position", "name")
        ],
        "aliases": list(Alias.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)),
        "strategies": list(Strategy.objects.order_by("name").values_list("name", flat=True)),
    }  # fmt: skip

"""The tables of docs/providers, made of what a new installation loads. ``make provider-tables`` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from django.db.models import Q

from llm_gateway.core.catalog import Lifecycle
from llm_gateway.models import LanguageModel, Price

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "providers"
BEGIN, END = "<!-- made by `make provider-tables` -->\n", "<!-- end of what is made -->\n"
PAGES = {"fireworks": "fireworks", "anthropic": "anthropic", "openai": "openai", "gemini": "gemini"}
HEADINGS = ("model", "prompt from", "input", "cache read", "cache write", "output", "context")


def table(slug: str, at: datetime) -> str:
    """Markdown: the priced models of a provider that can be called, and each band of their price in force ``at``."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *_rows(slug, at)]
    return f"As of {at:%d %B %Y}:\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _rows(slug: str, at: datetime) -> Iterator[tuple[str, ...]]:
    models = LanguageModel.objects.filter(Q(retires_on=None) | Q(retires_on__gt=at), provider__slug=slug, enabled=True)
    for model in models.exclude(lifecycle=Lifecycle.RETIRED).order_by("position", "name"):
        prices = Price.objects.filter(model=model, tier="standard", effective_from__lte=at).order_by("-effective_from", "min_prompt_tokens")
        newest = [price for price in prices if price.effective_from == prices[0].effective_from]
        for price in newest:
            first = price is newest[0]
            yield (
                f"`{model.name}`" if first else "",
                f"{price.min_prompt_tokens:,}" if price.min_prompt_tokens else "",
                *(_usd(value) for value in (price.input, price.cache_read, price.cache_write, price.output)),
                f"{model.context_window:,}" if first and model.context_window else "",
            )


def _usd(value: Decimal | None) -> str:
    return "–" if value is None else f"{value.normalize():f}"


def written(page: str, made: str) -> str:
    """The text of a page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{made}{END}{after}"

"""Add models that a host listed, each with its price."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from django.db import transaction

from llm_gateway.models import LanguageModel, Provider

from .add_provider import OWN_HOST, _check_ids, _check_prices, _model, set_price
from .import_prices import import_prices


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A model to add. Prices in USD per 1,000,000 tokens; ``None``: the published one, if there is one."""

    id: str
    price_in: Decimal | None = None
    price_out: Decimal | None = None
    context_window: int | None = None
    source: str = "operator"


def connect_models(provider: Provider, models: Sequence[Wanted]) -> list[LanguageModel]:
    """The rows, in the order asked. Idempotent: one that is there keeps its name and its price. A host of one's own is free unless a price
    is given. Raises :class:`~llm_gateway.actions.ActionError`; then nothing was added."""
    _check_ids([one.id for one in models])
    for one in models:
        _check_prices(one.price_in, one.price_out)
    rows = []
    with transaction.atomic():
        for one in models:
            row = _model(provider, one.id)
            if one.context_window and row.context_window is None:
                row.context_window = one.context_window
                row.save(update_fields=["context_window"])
            if one.price_in is not None and one.price_out is not None and not row.prices.exists():
                set_price(row, one.price_in, one.price_out, source=one.source)
            elif provider.allow_private and not row.prices.exists():
                set_price(row, Decimal(0), Decimal(0), source=OWN_HOST)
            rows.append(row)
        if any(not row.prices.exists() for row in rows):
            import_prices(approve=False)
    return rows

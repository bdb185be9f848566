"""Change a budget from a script: its limit, a raise for a limited time, when its periods begin."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from llm_gateway.core.money import to_nusd
from llm_gateway.models import Budget

from . import ActionError
from .create_client_key import MOST_USD


def set_budget(
    name: str,
    *,
    limit_usd: Decimal | None = None,
    extra_usd: Decimal | None = None,
    until: datetime | None = None,
    reset_hour: int | None = None,
    reset_weekday: int | None = None,
    reset_monthday: int | None = None,
) -> Budget:
    """``None`` leaves as it is; ``extra_usd`` 0 ends a raise. Raises :class:`ActionError`."""
    with transaction.atomic():
        found = list(Budget.objects.select_for_update().filter(name=name)[:2])
        if not found:
            raise ActionError(f"There is no budget named {name}.")
        if len(found) > 1:
            raise ActionError(f"Several budgets are named {name}; change it in the console.")
        row = found[0]
        for usd in (limit_usd, extra_usd):
            if usd is not None and not (usd.is_finite() and 0 <= usd <= MOST_USD):
                raise ActionError("An amount is 0 to 1,000,000,000 USD.")
        if limit_usd is not None:
            row.limit_nusd = to_nusd(limit_usd)
        if extra_usd is not None:
            raise_budget(row, extra_usd, until)
        elif until is not None:
            raise ActionError("Say by how much the budget is raised until then.")
        for field, value in (("reset_hour", reset_hour), ("reset_weekday", reset_weekday), ("reset_monthday", reset_monthday)):
            if value is not None:
                setattr(row, field, value)
        try:
            row.clean_fields(exclude=["client_key", "team", "provider", "model"])
        except ValidationError as error:
            raise ActionError("; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())) from None
        row.save()
        return row


def raise_budget(row: Budget, usd: Decimal, until: datetime | None) -> None:
    """Put a raise on ``row``, unsaved; 0 ends one. Raises :class:`ActionError`."""
    if not usd:
        row.extra_nusd, row.extra_until = 0, None
        return
    if until is None or until <= timezone.now():
        raise ActionError("A raise needs a moment in the future at which it ends.")
    row.extra_nusd, row.extra_until = to_nusd(usd), until

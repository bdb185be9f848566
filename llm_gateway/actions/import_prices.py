"""Bring published prices into the price book, with where they came from.

A row that is there is never edited: a figure that changed becomes a new dated row. What the operator entered wins over anything published
for the same day or earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from django.db import transaction
from django.utils import timezone

from llm_gateway.models import LanguageModel, Price

from ._price_data import FIELDS, Band, PriceList, published

OPERATOR = "operator"


class PriceChange(msgspec.Struct, frozen=True, kw_only=True):
    """One price list that is new, changed, or left to the operator (``kind``). ``before``/``after``: input / output in USD per 1M."""

    kind: str
    model: str
    tier: str
    effective_from: datetime
    before: str
    after: str
    source: str


class PriceImport(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are price lists (one model, tier and day). ``unpriced``: models that nobody publishes a price for and that have none."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    operator: int = 0
    changes: tuple[PriceChange, ...] = ()
    unpriced: tuple[str, ...] = ()


def import_prices(dry_run: bool = False, approve: bool = True, now: datetime | None = None) -> PriceImport:
    """Idempotent. ``approve=False``: prices of models that had none are written, changes are only reported. ``dry_run`` writes nothing."""
    now = now or timezone.now()
    with transaction.atomic():
        models = {model.pk: model for model in LanguageModel.objects.select_related("provider")}
        present = _present()
        changes: list[PriceChange] = []
        unchanged = 0
        rows: list[Price] = []
        for (pk, tier), wanted in published(models.values()).items():
            lists = present.get((pk, tier), [])
            steps = [_Step(now, one, None, "new") for one in wanted] if not lists else _compare(wanted, lists, now)
            unchanged += sum(step.kind == "same" for step in steps)
            for step in steps:
                if step.kind == "same":
                    continue
                changes.append(step.described(models[pk].name, tier))
                if step.kind == "new" or (step.kind == "changed" and approve):
                    rows += _rows(pk, tier, step.wanted)
        if rows and not dry_run:
            Price.objects.bulk_create(rows, ignore_conflicts=True)
        priced = {pk for pk, _ in present} | {row.model_id for row in rows}
    return PriceImport(
        new=sum(change.kind == "new" for change in changes),
        changed=sum(change.kind == "changed" for change in changes),
        operator=sum(change.kind == "operator" for change in changes),
        unchanged=unchanged,
        changes=tuple(changes),
        unpriced=tuple(sorted(model.name for pk, model in models.items() if pk not in priced)),
    )


class _Step(msgspec.Struct, frozen=True):
    moment: datetime
    wanted: PriceList
    found: PriceList | None
    kind: str

    def described(self, model: str, tier: str) -> PriceChange:
        return PriceChange(
            kind=self.kind,
            model=model,
            tier=tier,
            effective_from=self.wanted.effective_from,
            before=_text(self.found.bands) if self.found else "",
            after=_text(self.wanted.bands),
            source=self.wanted.source,
        )


def _compare(wanted: Sequence[PriceList], present: Sequence[PriceList], now: datetime) -> list[_Step]:
    """What holds now and at every later turn, side by side with what is published."""
    lists = sorted(present, key=lambda one: one.effective_from)
    turns = sorted({one.effective_from for one in (*wanted, *lists) if one.effective_from > now})
    steps = []
    for turn in (now, *turns):
        # A later correction of the same day stands seconds after it.
        moment = turn if turn == now else turn + timedelta(hours=1)
        theirs, ours = _in_force(wanted, moment), _in_force(lists, moment)
        if theirs is None:
            continue
        if ours is not None and ours.bands == theirs.bands:
            steps.append(_Step(turn, theirs, ours, "same"))
            continue
        if ours is not None and ours.source == OPERATOR and ours.effective_from >= theirs.effective_from:
            steps.append(_Step(turn, theirs, ours, "operator"))
            continue
        begins = theirs.effective_from if ours is None or theirs.effective_from > ours.effective_from else turn
        while any(one.effective_from == begins for one in lists):
            begins += timedelta(seconds=1)
        step = _Step(turn, msgspec.structs.replace(theirs, effective_from=begins), ours, "changed")
        lists = sorted([*lists, step.wanted], key=lambda one: one.effective_from)
        steps.append(step)
    return steps


def _in_force(lists: Sequence[PriceList], moment: datetime) -> PriceList | None:
    valid = [one for one in lists if one.effective_from <= moment]
    return max(valid, key=lambda one: one.effective_from) if valid else None


def _present() -> dict[tuple[int, str], list[PriceList]]:
    grouped: dict[tuple[int, str], dict[datetime, list[Price]]] = {}
    for row in Price.objects.order_by("min_prompt_tokens"):
        grouped.setdefault((row.model_id, row.tier), {}).setdefault(row.effective_from, []).append(row)
    return {
        place: [
            PriceList(
                effective_from=day,
                bands=tuple(_band(row) for row in rows),
                source=OPERATOR if any(row.source == OPERATOR for row in rows) else rows[0].source,
            )
            for day, rows in by_day.items()
        ]
        for place, by_day in grouped.items()
    }


def _band(row: Price) -> Band:
    values = {name: Decimal(value).normalize() for name in FIELDS if (value := getattr(row, name)) is not None}
    return Band(min_prompt_tokens=row.min_prompt_tokens, **values)


def _rows(pk: int, tier: str, wanted: PriceList) -> list[Price]:
    return [
        Price(
            model_id=pk,
            tier=tier,
            effective_from=wanted.effective_from,
            source=wanted.source,
            note=wanted.note,
            min_prompt_tokens=band.min_prompt_tokens,
            **{name: getattr(band, name) for name in FIELDS},
        )
        for band in wanted.bands
    ]


def _text(bands: Sequence[Band]) -> str:
    parts = []
    for band in bands:
        start = f" from {band.min_prompt_tokens} tokens" if band.min_prompt_tokens else ""
        parts.append(f"{band.input.normalize():f} / {band.output.normalize():f}{start}")
    return "; ".join(parts)

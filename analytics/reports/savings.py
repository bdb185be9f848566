"""What the same work would have cost on one model alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from analytics import queries
from analytics.measures import TOKENS, Measures
from llm_gateway.core.money import NUSD, Rate, cost_nusd, per_token_pusd, rate_at
from llm_gateway.core.usage import Usage
from llm_gateway.models import LanguageModel, Price

from . import reports
from ._base import Asked, Card, Chart, Column, Series, Sheet
from ._money import money
from ._names import TITLES, Names

Key = tuple[Any, ...]


class Savings:
    name = "savings"
    title = "Savings"
    icon = "trending_down"
    position = 30
    summary = "What was paid, against what the same tokens would have cost on one baseline model at its prices of the time. UTC days."
    dated = True
    groups = ("day", "provider", "model", "team_id", "client_key_id", "strategy", "kind", "tag", "origin")
    default_groups = ("day",)
    option_title = "Baseline model"

    def options(self) -> list[tuple[str, str]]:
        """Models with a price, the dearest first: the fair question is what the best model for everything would have cost."""
        priced = Price.objects.filter(tier="standard", min_prompt_tokens=0).order_by("effective_from")
        latest: dict[str, Any] = dict(priced.values_list("model__name", "output"))
        return [(name, name) for name in sorted(latest, key=lambda n: (-latest[n], n))]

    def build(self, asked: Asked) -> Sheet:
        baseline = asked.option or next((name for name, _ in self.options()), "")
        rates = rates_of(baseline)
        cells, would = _compared(asked, rates)
        # By day, as most ask for it, the chart is of the same figures.
        daily = (cells, would) if tuple(asked.group_by) == ("day",) else _compared(msgspec.structs.replace(asked, group_by=("day",)), rates)
        names = Names(asked.group_by, cells)
        ordered = sorted(cells, key=lambda key: _order(asked.group_by, key, cells[key]))
        total, comparable = Measures(), Measures()
        for key, cell in cells.items():
            total.add(cell)
            if would[key] is not None:
                comparable.add(cell)
        known = [cost for cost in would.values() if cost is not None]
        whole, paid = sum(known) if known else None, total.total_nusd or 0
        saved, share = _figures(comparable, whole)[-2:]
        figures = (*_figures(total, whole)[:-2], saved, share)
        return Sheet(
            columns=(*(Column(name, TITLES[name]) for name in asked.group_by), *_COLUMNS),
            rows=tuple((*names.of(key), *_figures(cells[key], would[key])) for key in ordered),
            totals=(*("Total" if i == 0 else "" for i in range(len(asked.group_by))), *figures),
            cards=(
                Card("Paid", money(paid), "corrections included" if total.adjustments else ""),
                Card(f"On {baseline or 'no model'}", "unknown" if whole is None else money(whole), "the same tokens"),
                Card("Saved", "unknown" if share is None else f"{share:.0%}", _amount(saved), "good" if share and share > 0 else ""),
            ),
            chart=_chart(asked, baseline, *daily),
            notes=(*_notes(total, len(would) - len(known)), *_NOTES),
        )


_COLUMNS = (
    Column("requests", "Requests", "count"),
    Column("unknown_cost_requests", "Unknown cost", "count"),
    Column("paid_usd", "Paid (USD)", "usd"),
    Column("baseline_usd", "Baseline (USD)", "usd"),
    Column("saved_usd", "Saved (USD)", "usd"),
    Column("saved_share", "Saved", "share", absent=""),
)
_NOTES = (
    "Other models write more or fewer tokens for the same task, so this is a comparison of prices, not a prediction.",
    "Long prompts are priced in the baseline's own band; token classes it has no price for are billed as its input or output.",
)


def _notes(total: Measures, incomparable: int) -> tuple[str, ...]:
    notes = []
    if total.unknown_cost_requests:
        notes.append(
            f"What {total.unknown_cost_requests:,} requests cost is unknown, yet their tokens are in the baseline: less was saved."
        )
    if incomparable:
        notes.append(f"The baseline had no price for all of the time of {incomparable:,} rows; what is saved leaves them out.")
    return tuple(notes)


def _compared(asked: Asked, rates: Sequence[Rate]) -> tuple[dict[Key, Measures], dict[Key, int | None]]:
    """Measures and the baseline's cost per group. The range is cut where the baseline's price changed, so that each part has one."""
    cuts = sorted({rate.effective_from for rate in rates if asked.start < rate.effective_from < min(asked.end, asked.now)})
    cells: dict[Key, Measures] = {}
    would: dict[Key, int | None] = {}
    for begin, end in zip((asked.start, *cuts), (*cuts, asked.end), strict=True):
        for key, cell in queries.spend(asked.group_by, begin, end, asked.filters, bands=True, zone=asked.zone).items():
            cells.setdefault(key, Measures()).add(cell)
            cost = would_cost(cell, rates, begin)
            if key in would:
                known = would[key]
                would[key] = None if known is None or cost is None else known + cost
            else:
                would[key] = cost
    return cells, would


def would_cost(cell: Measures, rates: Sequence[Rate], at: datetime) -> int | None:
    """Nano-USD of these tokens at the prices of ``at``; ``None`` where there is none."""
    plain = rate_at(rates, at, 0)
    if plain is None:
        return None
    total, rest = 0, [getattr(cell, name) for name in TOKENS]
    sent = cell.requests - cell.rejected - cell.replayed - cell.cached
    for low, (count, *tokens) in (cell.bands or {}).items():
        total += _at(tokens, count, rate_at(rates, at, low) or plain)
        rest = [a - b for a, b in zip(rest, tokens, strict=True)]
        sent -= count
    return total + _at(rest, sent, plain)


def _at(tokens: Sequence[int], requests: int, rate: Rate) -> int:
    """``rate.request`` is per request, and a sum of many is none."""
    counts: dict[str, Any] = dict(zip(TOKENS, tokens, strict=True))
    usage = Usage(**counts)
    return cost_nusd(usage, msgspec.structs.replace(rate, request=0)) + max(0, requests) * rate.request // 1000


def rates_of(model: str) -> list[Rate]:
    """The price list of a model in the form costs are computed with."""
    found = LanguageModel.objects.filter(name=model).first()
    rows = Price.objects.filter(model=found, tier="standard") if found else Price.objects.none()
    return [
        Rate(
            price_id=row.pk,
            effective_from=row.effective_from,
            min_prompt_tokens=row.min_prompt_tokens,
            input=per_token_pusd(row.input) or 0,
            output=per_token_pusd(row.output) or 0,
            cache_read=per_token_pusd(row.cache_read),
            cache_write=per_token_pusd(row.cache_write),
            cache_write_1h=per_token_pusd(row.cache_write_1h),
            reasoning=per_token_pusd(row.reasoning),
            audio_input=per_token_pusd(row.audio_input),
            audio_output=per_token_pusd(row.audio_output),
            image_input=per_token_pusd(row.image_input),
            image_output=per_token_pusd(row.image_output),
            request=round((row.request or 0) * 1000 * NUSD),
        )
        for row in rows
    ]


def _figures(cell: Measures, would: int | None) -> tuple[Any, ...]:
    paid = cell.total_nusd or 0
    saved = None if would is None else would - paid
    return (cell.requests, cell.unknown_cost_requests, paid, would, saved, saved / would if saved is not None and would else None)


def _order(groups: tuple[str, ...], key: Key, cell: Measures) -> tuple[Any, ...]:
    days = [-value.toordinal() for name, value in zip(groups, key, strict=True) if name == "day"]
    return (*days, -(cell.total_nusd or 0), tuple(map(str, key)))


def _chart(asked: Asked, baseline: str, cells: dict[Key, Measures], would: dict[Key, int | None]) -> Chart:
    days = asked.days
    return Chart(
        title="Paid and baseline per day",
        labels=tuple(f"{day:%b} {day.day}" for day in days),
        series=(
            Series("paid", tuple((cells[(day,)].total_nusd or 0) / NUSD if (day,) in cells else 0.0 for day in days)),
            Series(f"all on {baseline}", tuple(None if (cost := would.get((day,), 0)) is None else cost / NUSD for day in days)),
        ),
        unit="USD",
        stacked=False,
    )


def _amount(saved: int | None) -> str:
    if saved is None:
        return "no price is known for the baseline"
    return f"{money(saved)} less" if saved >= 0 else f"{money(-saved)} more"


reports.add(Savings.name, Savings())

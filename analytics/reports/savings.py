"""What the same work would have cost on one model alone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from analytics import queries
from analytics.measures import Measures
from llm_gateway.core.money import NUSD, Rate, cost_nusd, per_token_pusd, rate_at
from llm_gateway.core.usage import Usage
from llm_gateway.models import LanguageModel, Price

from . import reports
from ._base import Asked, Card, Chart, Column, Series, Sheet
from ._money import money


class Savings:
    name = "savings"
    title = "Savings"
    summary = "What was paid, against what the same tokens would have cost on one baseline model at its prices of the day."
    groups = ()
    default_groups = ()
    option_title = "Baseline model"

    def options(self) -> list[tuple[str, str]]:
        """Models with a price, the dearest first: the fair question is what the best model for everything would have cost."""
        priced = Price.objects.filter(tier="standard", min_prompt_tokens=0).order_by("effective_from")
        latest: dict[str, Any] = dict(priced.values_list("model__name", "output"))
        return [(name, name) for name in sorted(latest, key=lambda n: (-latest[n], n))]

    def build(self, asked: Asked) -> Sheet:
        baseline = asked.option or next((name for name, _ in self.options()), "")
        rates = rates_of(baseline)
        cells = queries.spend(("day",), asked.start, asked.end, asked.filters)
        rows = []
        for (day,), cell in sorted(cells.items(), reverse=True):
            would = _would_cost(cell, rates, datetime.combine(day + timedelta(days=1), time(tzinfo=UTC)) - timedelta(seconds=1))
            rows.append(
                (
                    day.isoformat(),
                    cell.requests,
                    cell.cost_nusd,
                    would,
                    None if would is None else would - cell.cost_nusd,
                    _share(cell.cost_nusd, would),
                )
            )
        paid = sum(row[2] for row in rows)
        comparable = [row for row in rows if row[3] is not None]
        would = sum(row[3] for row in comparable) if comparable else None
        saved = None if would is None else would - sum(row[2] for row in comparable)
        share = None if would is None else _share(would - (saved or 0), would)
        chronological = tuple(reversed(rows))
        return Sheet(
            columns=_COLUMNS,
            rows=tuple(rows),
            totals=("Total", sum(row[1] for row in rows), paid, would, saved, share),
            cards=(
                Card("Paid", money(paid)),
                Card(f"On {baseline or 'no model'}", "unknown" if would is None else money(would), "the same tokens"),
                Card("Saved", "unknown" if share is None else f"{share:.0%}", _amount(saved), "good" if share and share > 0 else ""),
            ),
            chart=Chart(
                title="Paid and baseline per day",
                labels=tuple(str(row[0])[5:] for row in chronological),
                series=(
                    Series("paid", tuple(row[2] / NUSD for row in chronological)),
                    Series(f"all on {baseline}", tuple(None if row[3] is None else row[3] / NUSD for row in chronological)),
                ),
                unit="USD",
                stacked=False,
            ),
            notes=(
                "Other models write more or fewer tokens for the same task, so this is a comparison of prices, not a prediction.",
                "Every prompt is priced in the baseline's first band; classes it has no price for are billed as its input or output.",
            ),
        )


_COLUMNS = (
    Column("day", "Day"),
    Column("requests", "Requests", "count"),
    Column("paid_usd", "Paid (USD)", "usd"),
    Column("baseline_usd", "Baseline (USD)", "usd"),
    Column("saved_usd", "Saved (USD)", "usd"),
    Column("saved_share", "Saved", "share", absent=""),
)


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
        )
        for row in rows
    ]


def _would_cost(cell: Measures, rates: list[Rate], at: datetime) -> int | None:
    rate = rate_at(rates, at, 0)
    if rate is None:
        return None
    usage = Usage(
        input_tokens=cell.input_tokens,
        output_tokens=cell.output_tokens,
        cache_read_tokens=cell.cache_read_tokens,
        cache_write_tokens=cell.cache_write_tokens,
        cache_write_1h_tokens=cell.cache_write_1h_tokens,
        reasoning_tokens=cell.reasoning_tokens,
        audio_input_tokens=cell.audio_input_tokens,
        audio_output_tokens=cell.audio_output_tokens,
    )
    return cost_nusd(usage, rate)


def _share(paid: int, would: int | None) -> float | None:
    return (would - paid) / would if would else None


def _amount(saved: int | None) -> str:
    if saved is None:
        return "no price is known for the baseline"
    return f"{money(saved)} less" if saved >= 0 else f"{money(-saved)} more"


reports.add(Savings.name, Savings())

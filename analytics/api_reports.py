"""GET ``reports/cost``, ``reports/savings`` and ``reports/forecast``: the sheets of the console, number for number, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import msgspec
from asgiref.sync import sync_to_async
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from msgspec import UNSET, UnsetType
from rest_framework.request import Request

from llm_gateway.api.native.auth import HasScope
from llm_gateway.api.native.openapi import documented
from llm_gateway.api.native.shapes import Cost, Shape
from llm_gateway.api.native.views import AsyncAPIView
from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.core.money import format_usd
from llm_gateway.core.roles import READS_REPORTS
from llm_gateway.policies.periods import period_bounds

from .api_asking import BETWEEN, SELECTING, between, filters, read
from .reports import Asked, Report, Sheet, reports
from .reports.forecast import METHOD, PERIODS, BudgetOutlook, budgets, outlook

MOST_ROWS = 10_000
# What the sheets call it, by what callers do.
GROUPS = {
    "day": "day", "provider": "provider", "model": "model", "team": "team_id", "client": "client_key_id", "strategy": "strategy",
    "kind": "kind", "tag": "tag", "origin": "origin",
}  # fmt: skip
_MORE = {
    "team": "Name or slug of a team; for staff. A client key always sees its own team.",
    "kind": "generate, analyze, test, chat or embeddings.",
    "tag": "The tag the caller gave.",
    "simulated": "`only` or `without`: simulated providers; included when absent.",
}
_BY = {"by": f"What a row is of: any of {', '.join(GROUPS)}, separated by commas."}
COST = {**_BY, **SELECTING, **_MORE, **BETWEEN}
SAVINGS = {"baseline": "The model to compare with, by name; the dearest when absent.", **COST}
FORECAST = {"period": f"{', '.join(PERIODS)}; the month when absent.", **SELECTING, **_MORE}
T = TypeVar("T", bound=Shape)


class Group(Shape, frozen=True, kw_only=True):
    """A row carries what it is grouped by, and nothing of the rest; days are UTC days."""

    day: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    team: str | UnsetType = UNSET
    client: str | UnsetType = UNSET
    strategy: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    tag: str | UnsetType = UNSET
    origin: str | UnsetType = UNSET


class CostRow(Group, frozen=True, kw_only=True):
    """``cost``: of requests that arrived in the time; ``adjustments``: corrections booked in it, of whatever request; ``total``: both.
    ``unknown_cost_requests`` are in no sum."""

    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: Cost | None
    adjustments: Cost
    total: Cost | None
    cost_per_request: Cost | None
    estimated_share: float | None
    unknown_cost_requests: int
    orphaned: int


class CostReport(Shape, frozen=True, kw_only=True):
    """Newest day first, then the dearest."""

    since: datetime
    until: datetime
    rows: list[CostRow]
    total: CostRow


class SavingsRow(Group, frozen=True, kw_only=True):
    """``baseline``: what the same tokens would have cost there at the prices of the time; ``null`` where it had none."""

    requests: int
    unknown_cost_requests: int
    paid: Cost
    baseline: Cost | None
    saved: Cost | None
    saved_share: float | None


class SavingsReport(Shape, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    baseline: str
    rows: list[SavingsRow]
    total: SavingsRow
    notes: list[str]


class ExpectedBody(Shape, frozen=True, kw_only=True):
    """The range holds the outcome in ``confidence`` of the periods that go on as the last two weeks did."""

    amount: Cost
    low: Cost
    high: Cost
    confidence: float = 0.8


class BudgetBody(Shape, frozen=True, kw_only=True):
    """``runs_out``: about when its limit is reached; ``null``: not before it ends, or unknown."""

    name: str
    period: str
    timezone: str
    until: datetime
    limit: Cost
    spent: Cost
    expected: Cost | None
    used_up: bool
    runs_out: datetime | None


class ForecastReport(Shape, frozen=True, kw_only=True):
    """``expected`` is ``null`` while there are fewer than three whole days to learn from. The period is one of ``timezone``, the team's."""

    period: str
    timezone: str
    since: datetime
    until: datetime
    spent: Cost
    expected: ExpectedBody | None
    method: str
    budgets: list[BudgetBody]


def _parameters(known: Mapping[str, str]) -> list[OpenApiParameter]:
    return [OpenApiParameter(name, str, description=text) for name, text in known.items()]


class CostReportView(AsyncAPIView):
    """Who spent what: by day, model, provider, team, client, strategy, kind or tag. A client key sees its own team only; staff see all."""

    permission_classes = (HasScope("read", staff=READS_REPORTS),)

    @documented("report_cost", "Cost report", answer=CostReport, parameters=_parameters(COST))
    async def get(self, request: Request) -> CostReport:
        return await sync_to_async(_cost)(self.identity, read(request.query_params, COST))


class SavingsReportView(AsyncAPIView):
    """What was paid against one baseline model at its prices of the time. A client key sees its own team only; staff see all."""

    permission_classes = (HasScope("read", staff=READS_REPORTS),)

    @documented("report_savings", "Savings report", answer=SavingsReport, parameters=_parameters(SAVINGS))
    async def get(self, request: Request) -> SavingsReport:
        return await sync_to_async(_savings)(self.identity, read(request.query_params, SAVINGS))


class ForecastReportView(AsyncAPIView):
    """Where the month, week or day ends, and which budgets will not last. A client key sees its own team only; staff see all."""

    permission_classes = (HasScope("read", staff=READS_REPORTS),)

    @documented("report_forecast", "Forecast", answer=ForecastReport, parameters=_parameters(FORECAST))
    async def get(self, request: Request) -> ForecastReport:
        return await sync_to_async(_forecast)(self.identity, read(request.query_params, FORECAST))


def _cost(identity: Identity, asked: dict[str, str]) -> CostReport:
    report = reports.get("cost")
    question = _question(report, identity, asked)
    sheet = report.build(question)
    rows, total = _rows(sheet, question, CostRow)
    return CostReport(since=question.start, until=question.end, rows=rows, total=total)


def _savings(identity: Identity, asked: dict[str, str]) -> SavingsReport:
    report = reports.get("savings")
    names = [name for name, _ in report.options()]
    baseline = asked.get("baseline") or next(iter(names), "")
    if baseline and baseline not in names:
        raise InvalidRequest(f"There is no model `{baseline[:60]}` with a price; see `models`.", param="baseline")
    question = _question(report, identity, asked, option=baseline)
    sheet = report.build(question)
    rows, total = _rows(sheet, question, SavingsRow)
    return SavingsReport(
        since=question.start, until=question.end, baseline=baseline, rows=rows, total=total, notes=list(sheet.notes)
    )  # fmt: skip


def _forecast(identity: Identity, asked: dict[str, str]) -> ForecastReport:
    period = asked.get("period", PERIODS[0])
    if period not in PERIODS:
        raise InvalidRequest(f"`period` is one of {', '.join(PERIODS)}.", param="period")
    now, wanted = timezone.now(), filters(identity, asked)
    found = outlook(now, wanted, period)
    whole = found.whole
    return ForecastReport(
        period=period,
        timezone=found.timezone,
        since=found.start,
        until=found.end,
        spent=_usd(found.spent),
        expected=None
        if whole is None
        else ExpectedBody(amount=_usd(round(whole.expected)), low=_usd(round(whole.low)), high=_usd(round(whole.high))),
        method=METHOD,
        budgets=[_budget(one, now) for one in budgets(now, wanted.team_id)],
    )


def _budget(one: BudgetOutlook, now: datetime) -> BudgetBody:
    row = one.budget
    _, until = period_bounds(row.period, row.timezone, now, row.reset)
    assert until is not None
    return BudgetBody(
        name=row.name,
        period=one.period_id,
        timezone=row.timezone,
        until=until,
        limit=_usd(row.limit_at(now)),
        spent=_usd(one.spent),
        expected=None if one.expected is None else _usd(one.expected),
        used_up=one.used_up,
        runs_out=one.runs_out,
    )


def _question(report: Report, identity: Identity, asked: dict[str, str], option: str = "") -> Asked:
    start, end = between(asked)
    wanted = filters(identity, asked)
    return Asked(start=start, end=end, now=timezone.now(), group_by=_groups(report, asked.get("by")), filters=wanted, option=option)


def _groups(report: Report, text: str | None) -> tuple[str, ...]:
    if text is None:
        return report.default_groups
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in GROUPS:
            raise InvalidRequest(f"`by` knows {', '.join(GROUPS)}, not `{name[:40]}`.", param="by")
    wanted = {GROUPS[name] for name in names}
    return tuple(name for name in report.groups if name in wanted)


def _rows(sheet: Sheet, question: Asked, shape: type[T]) -> tuple[list[T], T]:
    lines = list(islice(sheet.rows, MOST_ROWS + 1))
    if len(lines) > MOST_ROWS:
        raise InvalidRequest(f"That is more than {MOST_ROWS:,} rows; ask for fewer days, or group by less.", param="by")
    total = tuple(sheet.totals[len(question.group_by) :])
    return [_row(sheet, 0, line, shape) for line in lines], _row(sheet, len(question.group_by), total, shape)


_NAMES = {inner: outer for outer, inner in GROUPS.items()}


def _row(sheet: Sheet, first: int, line: tuple[Any, ...], shape: type[T]) -> T:
    """Cells by their columns' names, without the unit in those of amounts. ``first``: the first column there is a cell for."""
    cells: dict[str, Any] = {}
    for column, value in zip(sheet.columns[first:], line, strict=True):
        if column.kind == "usd":
            cells[column.name.removesuffix("_usd")] = None if value is None else _usd(value)
        else:
            cells[_NAMES.get(column.name, column.name)] = (
                str(value) if isinstance(value, str) else value
            )  # a name without what it stands for
    return msgspec.convert(cells, shape)


def _usd(nusd: int) -> Cost:
    return Cost(amount=f"-{format_usd(-nusd)}" if nusd < 0 else format_usd(nusd))

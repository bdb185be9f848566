"""What callers get: one struct per answer, so that what is documented is what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the answers below. ``null`` means unknown, never zero."""


class ErrorBody(Shape, frozen=True, kw_only=True):
    code: Annotated[str, Meta(description="Stable; see the list of error codes.", examples=["invalid_request"])]
    type: str
    message: Annotated[str, Meta(description="What is wrong and what to do next.")]
    request_id: str
    retryable: bool
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Error(Shape, frozen=True, kw_only=True):
    """Every error."""

    error: ErrorBody


class Cost(Shape, frozen=True, kw_only=True):
    amount: Annotated[str, Meta(description="Decimal, exact.", examples=["0.0000125"])]
    currency: Literal["USD"] = "USD"


class UsageBody(Shape, frozen=True, kw_only=True):
    """Tokens in disjoint classes; audio and pictures are in ``input_tokens`` and ``output_tokens``, reasoning is a part of the output."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    source: Literal["reported", "estimated"]


class CodeBlock(Shape, frozen=True, kw_only=True):
    language: str | None
    code: str


class AttemptBody(Shape, frozen=True, kw_only=True):
    """One upstream call. ``status``: the provider's HTTP status; ``error``: why it failed, in a word."""

    provider: str
    model: str
    outcome: Annotated[str, Meta(examples=["ok"])]
    status: int | None
    latency_ms: int | None
    error: str | None = None


class Envelope(Shape, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The request id; also in the header `x-request-id`.")]
    model: Annotated[str, Meta(description="The model that really served.")]
    provider: str
    finish_reason: str | None
    usage: UsageBody | None
    cost: Cost | None
    latency_ms: int
    ttft_ms: int | None
    strategy: str | None
    decision: Annotated[dict[str, Any], Meta(description="Why this target: the candidates, their order, and why others were skipped.")]
    attempts: list[AttemptBody]


class FindingBody(Shape, frozen=True, kw_only=True):
    """``line`` counts from 1 within the block, ``block`` from 1 within the text; ``null``: it is about the whole."""

    block: int | None
    line: int | None
    rule: str
    severity: Literal["high", "medium", "low"]
    message: str


class ScorerBody(Shape, frozen=True, kw_only=True):
    name: str
    version: int
    value: Annotated[float, Meta(ge=0, le=1)] | None
    findings: list[FindingBody]


class QualityBody(Shape, frozen=True, kw_only=True):
    """Computed, not asked of a model. A defect detector: it does not see whether the code does what it should (docs/quality.md)."""

    score: Annotated[int, Meta(ge=0, le=100)] | None
    scorers: list[ScorerBody]
    formula: Annotated[int, Meta(description="The number of the formula that made the score; figures of different ones do not compare.")]


class Generated(Envelope, frozen=True, kw_only=True):
    """``quality``: where ``score`` was asked for."""

    content: str
    code_blocks: list[CodeBlock]
    quality: QualityBody | msgspec.UnsetType = msgspec.UNSET


class GeneratedDone(Envelope, frozen=True, kw_only=True):
    """The `done` event of a stream."""

    code_blocks: list[CodeBlock]
    quality: QualityBody | msgspec.UnsetType = msgspec.UNSET


Severity = Literal["critical", "high", "medium", "low", "info"]


class Finding(Shape, frozen=True, kw_only=True):
    severity: Severity
    category: str
    line: int | None = None
    message: str
    suggestion: str | None = None


class Analysis(Shape, frozen=True, kw_only=True):
    """``partial``: the model's answer was incomplete and holds only what could be read; then ``score`` may be ``null``."""

    summary: str
    score: Annotated[int, Meta(ge=0, le=100)] | None
    findings: list[Finding]
    partial: bool = False


class Analyzed(Envelope, frozen=True, kw_only=True):
    """``request_ids``: every request this answer took, a repair included; cost, usage and attempts are of all of them."""

    analysis_type: str
    analysis: Analysis
    repaired: bool
    request_ids: list[str]


class TestResult(Shape, frozen=True, kw_only=True):
    __test__ = False

    model: Annotated[str, Meta(description="As asked.")]
    ok: bool
    id: str
    served_by: str | None = None
    provider: str | None = None
    latency_ms: int | None = None
    ttft_ms: int | None = None
    cost: Cost | None = None
    error: ErrorBody | None = None


class TestReport(Shape, frozen=True, kw_only=True):
    __test__ = False

    results: list[TestResult]
    succeeded: int
    failed: int
    cost: Annotated[Cost | None, Meta(description="Of all calls; null when the cost of one is unknown.")]
    note: str | None = None


class Price(Shape, frozen=True, kw_only=True):
    """USD per 1,000,000 tokens, decimal; from ``min_prompt_tokens`` on."""

    min_prompt_tokens: int
    input: str
    output: str
    cache_read: str | None
    cache_write: str | None


class ModelBody(Shape, frozen=True, kw_only=True):
    name: str
    title: str
    provider: str
    upstream_id: str
    lifecycle: Literal["active", "deprecated", "retired"]
    retires_on: date | None
    successor: str | None
    available: Annotated[bool, Meta(description="Whether a key could serve it now.")]
    auto: Annotated[bool, Meta(description="Whether a strategy may choose it.")]
    context_window: int | None
    max_output_tokens: int | None
    capabilities: list[str]
    price: Annotated[list[Price] | None, Meta(description="Bands in force now; null: unknown.")]


class AliasBody(Shape, frozen=True, kw_only=True):
    name: str
    models: list[str]
    available: bool


class Models(Shape, frozen=True, kw_only=True):
    models: list[ModelBody]
    aliases: list[AliasBody]
    currency: Literal["USD"] = "USD"


class BreakerBody(Shape, frozen=True, kw_only=True):
    state: Annotated[str, Meta(examples=["closed"])]
    reason: str
    until: datetime | None


class RollingBody(Shape, frozen=True, kw_only=True):
    """Upstream calls of the last hour."""

    requests: int
    success_rate: float | None
    p50_ms: float | None
    p95_ms: float | None


class ModelStatus(Shape, frozen=True, kw_only=True):
    model: str
    provider: str
    availability: Literal["available", "degraded", "unavailable"]
    reason: str
    lifecycle: Literal["active", "deprecated", "retired"]
    successor: str | None
    breaker: BreakerBody
    key_state: Annotated[str, Meta(description="The best state among its keys; `none` without one.", examples=["valid"])]
    last_check: datetime | None
    last_hour: RollingBody


class Status(Shape, frozen=True, kw_only=True):
    overall_status: Literal["healthy", "degraded", "down"]
    active_strategy: str
    models: list[ModelStatus]


class StrategyBody(Shape, frozen=True, kw_only=True):
    name: str
    title: str
    summary: str
    kind: str
    settings: Mapping[str, Any]
    revision: int
    active: bool


class Strategies(Shape, frozen=True, kw_only=True):
    """``active_since`` and ``active_by`` are ``null`` until somebody has switched."""

    active: str
    active_since: datetime | None
    active_by: str | None
    strategies: list[StrategyBody]


class StrategySet(Shape, frozen=True, kw_only=True):
    active: str
    previous: str
    changed: bool


class KeyBody(Shape, frozen=True, kw_only=True):
    id: int
    provider: str
    name: str
    masked: Annotated[str, Meta(description="The last characters; the key itself is never shown.")]
    enabled: bool
    state: Annotated[str, Meta(examples=["valid"])]
    reason: str
    last_check: datetime | None
    next_check: datetime | None


class Keys(Shape, frozen=True, kw_only=True):
    overall_status: Literal["all_valid", "degraded", "none_valid"]
    keys: list[KeyBody]


class ResultBody(Shape, frozen=True, kw_only=True):
    id: str
    created_at: datetime
    finished_at: datetime | None
    state: str
    kind: str
    dialect: str
    team: str
    client: str | None
    asked_model: str
    model: str | None
    served_model: str
    provider: str
    strategy: str
    stream: bool
    simulated: bool
    status: int | None
    error_code: str
    finish_reason: str
    usage: UsageBody | None
    cost: Cost | None
    cache: Annotated[str | None, Meta(description="hit, semantic, miss or bypass; null where nobody wanted the cache.")]
    saved: Annotated[Cost | None, Meta(description="What an answer out of the cache would have cost.")]
    latency_ms: int | None
    ttft_ms: int | None
    decision: Any
    metadata: Any
    attempts: list[AttemptBody]


class Results(Shape, frozen=True, kw_only=True):
    """Newest first. ``next`` is the address of the following page."""

    results: list[ResultBody]
    next: str | None
    next_cursor: str | None


class ExplainedTarget(Shape, frozen=True, kw_only=True):
    """``place`` is 1 for the one that would be tried first; ``null`` for one that rests, and ``why`` says for what. ``highest_cost``: what
    this request could cost there at most."""

    place: int | None
    provider: str
    model: str
    upstream_id: str
    key: str
    highest_cost: Cost | None
    score: dict[str, Any]
    why: str
    wait_s: float | None


class ExplainedBudget(Shape, frozen=True, kw_only=True):
    """``refusal``: the error code this request would get from it now. Amounts in USD."""

    name: str
    period: str
    limit: str
    spent: str
    reserved: str
    hard: bool
    refusal: str | None
    message: str | None


class Refusal(Shape, frozen=True, kw_only=True):
    code: str
    status: int
    message: str


class Explained(Shape, frozen=True, kw_only=True):
    """What the request would do now. ``would``: ``try`` the first of ``targets``, or ``refuse`` with ``error``. ``names``: the models a
    name or alias means; empty where a strategy chooses. ``reserves``: what is held against the budgets while it runs."""

    would: Literal["try", "refuse"]
    error: Refusal | None
    asked: str
    strategy: str
    kind: str
    names: list[str]
    note: str
    prompt_tokens: Annotated[int, Meta(description="Estimated, to err upward.")]
    reserves: Cost
    targets: list[ExplainedTarget]
    skipped: list[dict[str, str]]
    budgets: list[ExplainedBudget]


class Link(Shape, frozen=True, kw_only=True):
    name: str
    methods: list[str]
    url: str
    summary: str


class Index(Shape, frozen=True, kw_only=True):
    name: str
    endpoints: list[Link]

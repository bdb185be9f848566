"""What attempts cost: pure functions from what an attempt left behind to its row, and from the rows to the request's bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import Failure
from llm_gateway.core.usage import Usage
from llm_gateway.policies.hold import BillingRule, billing, charge, final_usage
from llm_gateway.policies.lengths import Lengths
from llm_gateway.providers import services

from .calls import AttemptRecord


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an attempt that has ended. ``content``: something of the answer came; ``finished``: it said why it ended;
    ``chars``: of generated text; times in milliseconds, ``started_at`` Unix seconds."""

    target: Target
    started_at: float
    latency_ms: int
    ttft_ms: int | None
    status: int | None
    request_sent: bool
    streamed: bool
    upstream_request_id: str
    bytes_received: int
    content: bool
    finished: bool
    chars: int
    usage: Usage | None
    lengths: Lengths


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the request was held for. ``prompt_tokens``: as estimated; ``at``: Unix seconds of its opening."""

    prompt_tokens: int
    service_tier: str | None
    hold_nusd: int
    at: float


class Entry(NamedTuple):
    """An attempt's row, and what it adds to the request. ``usage`` and ``price_id`` are ``None`` where nothing is billed."""

    record: AttemptRecord
    usage: Usage | None
    price_id: int | None
    overrun: bool


def rule_of_failure(evidence: Evidence, failure: Failure) -> BillingRule:
    return billing(
        failure.kind,
        content_seen=evidence.content,
        bytes_of_200=evidence.bytes_received if evidence.status == 200 else 0,
        bills_aborted=services.get(evidence.target.provider.service).facts.bills_aborted,
        # Figures that came before the end of the text are a lower bound, not a bill.
        usage_seen=evidence.usage is not None and (evidence.finished or not evidence.content),
        request_sent=evidence.request_sent,
    )


def rule_of_hanging_up(evidence: Evidence) -> BillingRule:
    """We ended the attempt. It has been asked, so its input is paid for."""
    return billing(None, content_seen=evidence.content, cancelled=True, request_sent=evidence.request_sent)


def entry(number: int, evidence: Evidence, asked: Asked, outcome: str, failure: Failure | None, rule: BillingRule) -> Entry:
    """``number``: of the attempt, from 1; ``outcome``: as in :class:`AttemptRecord`."""
    target = evidence.target
    reported = evidence.usage
    if rule in (BillingRule.ESTIMATE, BillingRule.HOLD) and (reported is None or reported.service_tier is None):
        # The provider named no tier; assume the one that was asked for.
        reported = msgspec.structs.replace(reported or Usage(), service_tier=asked.service_tier)
    if rule is BillingRule.REPORTED and reported is not None and reported.input_tokens is not None and reported.output_tokens is not None:
        # Nothing is left to estimate.
        usage = reported
    else:
        usage = final_usage(
            reported,
            est_prompt_tokens=round(asked.prompt_tokens * evidence.lengths.prompt_factor),
            text_chars_received=evidence.chars,
            rule=rule,
            chars_per_token=evidence.lengths.chars_per_token,
        )
    charged = charge(rule, usage, asked.hold_nusd, target.model.rates, datetime.fromtimestamp(asked.at, UTC))
    billed = rule is not BillingRule.VOID
    record = AttemptRecord(
        number=number,
        provider_id=target.provider.id,
        provider=target.provider.slug,
        credential_id=target.credential.id,
        model_id=target.model.id,
        model=target.model.name,
        upstream_id=target.upstream_id,
        outcome=outcome,
        started_at=evidence.started_at,
        error_class=failure.kind.value if failure else "",
        status=(failure.status if failure else None) or evidence.status,
        detail=failure.message[:500] if failure else "",
        upstream_request_id=evidence.upstream_request_id,
        latency_ms=evidence.latency_ms,
        ttft_ms=evidence.ttft_ms,
        bytes_received=evidence.bytes_received,
        streamed=evidence.streamed,
        billed=rule.value,
        maybe_billed=not billed and evidence.request_sent and failure is not None and evidence.status in (None, 200),
        cost_nusd=charged.cost_nusd,
        failure=failure,
    )
    return Entry(record, usage if billed else None, charged.price_id if billed else None, charged.overrun)


def total(records: Sequence[AttemptRecord], hold_nusd: int) -> tuple[int | None, int]:
    """(cost, what budgets are charged) in nano-USD. What providers reported is charged in full; what is only feared (estimates, whole
    holds, unknown prices) never takes the sum above the hold, or a second attempt could take a budget past its limit."""
    if len(records) == 1 and records[0].billed == BillingRule.REPORTED and (cost := records[0].cost_nusd) is not None:
        return cost, cost
    reported = sum(r.cost_nusd or 0 for r in records if r.billed == BillingRule.REPORTED)
    unknown = any(r.cost_nusd is None for r in records)
    rest = [r.cost_nusd for r in records if r.billed != BillingRule.REPORTED or r.cost_nusd is None]
    feared = sum(hold_nusd if cost is None else cost for cost in rest)
    charged = reported + min(feared, max(0, hold_nusd - reported))
    return None if unknown else charged, charged


def unspent(records: Sequence[AttemptRecord], hold_nusd: int) -> int:
    """What of the hold the attempts that ended so far have left."""
    return hold_nusd - sum(hold_nusd if record.cost_nusd is None else record.cost_nusd for record in records)


_NO_USAGE: Mapping[str, Any] = {}
_COLUMNS = tuple("usage_source" if name == "source" else name for name in Usage.__struct_fields__)


def columns(usage: Usage | None) -> Mapping[str, Any]:
    """Token counts by column name of the log row."""
    if usage is None:
        return _NO_USAGE
    return dict(zip(_COLUMNS, msgspec.structs.astuple(usage), strict=True))

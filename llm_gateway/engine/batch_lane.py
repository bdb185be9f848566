"""What a request is in the provider lane: to whom it goes there, what it holds, and what it costs in the end.

It is the same request as everywhere: one opening with its hold, one settlement with one attempt. Only its price rows are those of the
provider's batch tier, and hours may lie between the two.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.catalog import Identity, ModelInfo, Snapshot, Target
from llm_gateway.core.errors import AttemptFailed, ConfigError, Failure, FailureClass, GatewayError, from_failure
from llm_gateway.core.events import Frame, replay
from llm_gateway.core.money import Rate
from llm_gateway.core.redact import KeyFilter, redact
from llm_gateway.policies.batches import BATCH_TIER
from llm_gateway.policies.hold import DEFAULT_MAX_TOKENS, BillingRule, estimate_tokens
from llm_gateway.policies.lengths import UNKNOWN
from llm_gateway.providers import services
from llm_gateway.wires import menders, wires
from llm_gateway.wires._batch_apis import BatchApi

from . import bill
from .calls import Call, Summary, WholeAnswer
from .plan import callers_budgets, estimate_nusd, label
from .ports import Opening, Settlement
from .prepare import prepare
from .resolve import NAMED, resolve
from .tally import Tally

# Kinds of lines that are one request without a second look at its answer.
KINDS = frozenset({"chat", "responses", "messages", "generate_content", "generate"})
# What a batch API does not take in a line: it streams nothing, and its tier is its own.
_DROPPED = ("stream", "stream_options", "service_tier", "serviceTier")


def batch_rates(model: ModelInfo) -> tuple[Rate, ...]:
    return tuple(rate for rate in model.rates if rate.tier == BATCH_TIER)


def api_of(target: Target) -> BatchApi | None:
    api = services.get(target.provider.service).facts.batches
    return api if api is not None and api.wire == target.provider.wire else None


def lane_target(snapshot: Snapshot, identity: Identity, asked: str, now: datetime) -> Target | str:
    """Whose batch API takes requests for the model ``asked``, with the prices of that tier alone; or why none does."""
    try:
        found = resolve(snapshot, identity, asked, None)
    except GatewayError as error:
        return error.message
    if found.strategy is not None:
        return f"A strategy chooses the model of `{asked[:100] or 'auto'}` when the request runs; name a model."
    why = f"No provider of `{asked[:100]}` has a batch API that the gateway speaks."
    for target in found.targets:
        if api_of(target) is None:
            continue
        rates = batch_rates(target.model)
        if any(rate.effective_from <= now and rate.min_prompt_tokens == 0 for rate in rates):
            return msgspec.structs.replace(target, model=msgspec.structs.replace(target.model, rates=rates))
        why = f"`{target.model.name}` has no price for the tier `{BATCH_TIER}`, without which nothing is sent to a batch API."
    return why


class Fit:
    """Whether the lines of a batch fit. ``why`` and ``line``: of the first that does not."""

    def __init__(self, snapshot: Snapshot, identity: Identity | None, now: datetime) -> None:
        self._snapshot, self._identity, self._now = snapshot, identity, now
        self._known: dict[tuple[str, str], str] = {}
        self.why = "" if identity is not None else "The batch's key is not known any more."
        self.line: int | None = None

    def add(self, number: int, kind: str, model: str) -> bool:
        """Whether all lines so far fit."""
        if not self.why and (why := self._of(kind, model)):
            self.why, self.line = why, number
        return not self.why

    def _of(self, kind: str, model: str) -> str:
        if (kind, model) not in self._known:
            assert self._identity is not None
            if kind not in KINDS:
                found: Target | str = f"Requests of the kind `{kind}` do not go to batch APIs."
            else:
                found = lane_target(self._snapshot, self._identity, model, self._now)
            self._known[kind, model] = found if isinstance(found, str) else ""
        return self._known[kind, model]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A request with its hold, and the body of its line. ``passthrough``: the answer is already in the caller's format."""

    opening: Opening
    body: bytes
    passthrough: bool


def ready(call: Call, target: Target, snapshot: Snapshot, now: datetime) -> Ready:
    """Raises :class:`UnsupportedParameter`, :class:`ConfigError`."""
    held = msgspec.structs.replace(call, inbound=msgspec.structs.replace(call.inbound, service_tier=BATCH_TIER))
    hold = estimate_nusd(held, target, estimate_tokens(call.inbound.size), now, snapshot)
    if hold is None:
        raise ConfigError(f"No price is known for `{target.model.name}` in the tier `{BATCH_TIER}`.")
    budgets = tuple(dict.fromkeys((*callers_budgets(call, snapshot), *target.budgets)))
    limit = call.identity.max_tokens
    if budgets and call.inbound.max_tokens is None and target.model.max_output_tokens is None:
        limit = DEFAULT_MAX_TOKENS if limit is None else min(limit, DEFAULT_MAX_TOKENS)
    made = prepare(call, target, limit)
    opening = Opening(
        call=held, at=now.timestamp(), hold_nusd=hold, budgets=budgets, target=target, strategy=NAMED, simulated=target.provider.simulated
    )
    return Ready(opening=opening, body=json.edit_object(made.body, {}, _DROPPED), passthrough=made.passthrough)


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a line ended. ``answer``: for its caller; ``error``: in its place."""

    settlement: Settlement
    answer: WholeAnswer | None = None
    error: GatewayError | None = None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The batch at the provider that a line was in. ``at``: Unix seconds, before its first byte went out."""

    remote: str
    at: float
    shard: str


def answered(opening: Opening, sent: Sent, body: bytes, passthrough: bool) -> End:
    """The end of a line with the provider's answer. Never raises."""
    wire = opening.target.provider.wire
    body = KeyFilter(opening.target.credential.secret.reveal()).whole(body)
    tally = Tally()
    try:
        response = wires.get(wire).decode_response(body)
        tally.add([Frame(b"", tuple(replay(response)))])
        if tally.failure is not None:
            raise AttemptFailed(tally.failure)
    except AttemptFailed as error:
        return failed(opening, sent, error.failure, tally=tally, got=len(body))
    flags = "" if tally.content else "empty"
    settlement, summary = _ended(opening, sent, tally, "ok", None, None, BillingRule.REPORTED, len(body), flags)
    whole = menders.get(wire)(body) if passthrough and wire in menders else body if passthrough else None
    return End(settlement=settlement, answer=WholeAnswer(summary=summary, response=response, body=whole))


def refused(opening: Opening, sent: Sent, status: int, body: bytes) -> End:
    """The end of a line with the provider's error."""
    failure = wires.get(opening.target.provider.wire).decode_error(status, {}, body)
    return failed(opening, sent, failure, got=len(body))


def failed(opening: Opening, sent: Sent, failure: Failure, *, tally: Tally | None = None, got: int = 0) -> End:
    secret = opening.target.credential.secret.reveal()
    failure = msgspec.structs.replace(failure, message=redact(failure.message, secret))
    tally = tally or Tally()
    error = from_failure(failure, named_model=opening.call.inbound.model, dialect=opening.call.inbound.dialect)
    rule = bill.rule_of_failure(_evidence(opening, sent, tally, failure.status or 200, got), failure)
    settlement, _ = _ended(opening, sent, tally, "failed", failure, error, rule, got)
    return End(settlement=settlement, error=error)


def unheard(opening: Opening, sent: Sent, error: GatewayError, *, charged: bool) -> End:
    """The end of a line of which the provider told nothing. ``charged``: it may have been executed, so all that was held is."""
    rule = BillingRule.HOLD if charged else BillingRule.VOID
    failure = Failure(kind=FailureClass.PROTOCOL, message=error.message)
    settlement, _ = _ended(opening, sent, Tally(), "failed", failure, error, rule, 0)
    return End(settlement=settlement, error=error)


def not_sent(opening: Opening, error: GatewayError) -> Settlement:
    """The end of a request of which no byte went out."""
    return _settlement(opening, "failed", (), {}, 0, 0, None, error, "", "", "", {})


def _evidence(opening: Opening, sent: Sent, tally: Tally, status: int | None, got: int) -> bill.Evidence:
    return bill.Evidence(
        target=opening.target,
        started_at=sent.at,
        latency_ms=0,
        ttft_ms=None,
        status=status,
        request_sent=True,
        streamed=False,
        upstream_request_id=sent.remote,
        bytes_received=got,
        content=tally.content,
        finished=tally.finish is not None,
        chars=tally.chars,
        usage=None if tally.usage is None else msgspec.structs.replace(tally.usage, service_tier=BATCH_TIER),
        lengths=UNKNOWN,
    )


def _ended(
    opening: Opening, sent: Sent, tally: Tally, state: str, failure: Failure | None, error: GatewayError | None, rule: BillingRule,
    got: int, flags: str = "",
) -> tuple[Settlement, Summary]:  # fmt: skip
    asked = bill.Asked(
        prompt_tokens=estimate_tokens(opening.call.inbound.size), service_tier=BATCH_TIER, hold_nusd=opening.hold_nusd, at=opening.at
    )
    evidence = _evidence(opening, sent, tally, 200 if failure is None else failure.status, got)
    made = bill.entry(1, evidence, asked, state, failure, rule)
    # How long it lay at the provider says nothing of how fast that is.
    record = msgspec.structs.replace(made.record, latency_ms=None)
    cost, charged = bill.total([record], opening.hold_nusd)
    flags = " ".join(word for word in (flags, "overrun" if made.overrun else "") if word)
    model = tally.model or opening.target.upstream_id
    finish = tally.finish.value if tally.finish else ""
    lane = {"lane": {"shard": sent.shard, "batch": sent.remote}}
    settlement = _settlement(
        opening, state, (record,), bill.columns(made.usage), cost, charged, made.price_id, error, model if error is None else "", finish,
        flags, lane,
    )  # fmt: skip
    summary = Summary(
        id=settlement.id, state=state, target=opening.target, served_model=model, strategy=NAMED, decision=settlement.decision,
        attempts=settlement.attempts, usage=made.usage, cost_nusd=cost, latency_ms=0, ttft_ms=None, finish_reason=finish, flags=flags,
    )  # fmt: skip
    return settlement, summary


def _settlement(
    opening: Opening, state: str, attempts: tuple[Any, ...], usage: Mapping[str, Any], cost: int | None, charged: int,
    price_id: int | None, error: GatewayError | None, model: str, finish: str, flags: str, more: Mapping[str, Any],
) -> Settlement:  # fmt: skip
    order = {"asked": opening.call.inbound.model, "strategy": NAMED, "order": [label(opening.target)]}
    return Settlement(
        id=opening.call.id,
        at=time.time(),
        state=state,
        opened=opening,
        target=opening.target,
        attempts=attempts,
        usage=usage,
        cost_nusd=cost,
        charge_nusd=charged,
        price_id=price_id,
        latency_ms=None,
        ttft_ms=None,
        status=error.status if error else 200,
        error_code=error.code if error else "",
        finish_reason=finish,
        served_model=model,
        flags=flags,
        decision={**order, **more},
    )

"""The state of one request between its hold and its settlement."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from llm_gateway.core.catalog import BodyLogging, Target
from llm_gateway.core.chat import Message, Text
from llm_gateway.core.errors import DeadlineExceeded, Failure, FailureClass, GatewayError, ShuttingDown, UpstreamError, from_failure
from llm_gateway.core.usage import Usage, UsageSource
from llm_gateway.policies.hold import DEFAULT_MAX_TOKENS, BillingRule, billing, charge, final_usage
from llm_gateway.providers import services

from .attempt import Attempt
from .calls import AttemptRecord, Call, Summary
from .plan import Plan
from .ports import Opening, Settlement
from .prepare import model_facts

_TEXT_LIMIT = 1 << 20
_MAX_WAIT_S = 60.0
_MAX_JITTER_S = 8.0


class ClientStalled(GatewayError):
    """Only for the log: who is told has stopped listening."""

    status, code, type = 499, "client_stalled", "client_error"


class Run:
    """Collects attempts; knows what they cost. ``current`` is the attempt whose answer is being received, ``admitted`` the target whose
    end has yet to be reported to health."""

    __slots__ = (
        "_deadline",
        "_started",
        "_wait_s",
        "admitted",
        "answer_text",
        "call",
        "current",
        "finish",
        "flags",
        "held_budgets",
        "keep_text",
        "left",
        "opening",
        "plan",
        "price_id",
        "records",
        "reserved_tokens",
        "served",
        "served_model",
        "settled",
        "simulated",
        "ttft_ms",
        "usage",
    )  # fmt: skip

    def __init__(self, call: Call, plan: Plan, target: Target) -> None:
        self.call = call
        self.plan = plan
        self._started = time.monotonic()
        self._deadline = self._started + call.deadline_s if call.deadline_s is not None else None
        identity = call.identity
        self.held_budgets = tuple(dict.fromkeys((*identity.budgets, *target.budgets)))
        self.opening = Opening(
            call=call,
            at=time.time(),
            hold_nusd=plan.hold(target),
            budgets=self.held_budgets,
            target=target,
            strategy=plan.strategy,
            simulated=target.provider.simulated,
        )
        self.admitted: Target | None = target
        self._wait_s: float | None = None
        self.keep_text = identity.bodies is BodyLogging.FULL
        self.records: list[AttemptRecord] = []
        self.current: Attempt | None = None
        self.left = False
        self.reserved_tokens = 0
        self.settled = False
        self.flags: list[str] = []
        self.usage: Usage | None = None
        self.served: Target | None = None
        self.served_model = ""
        self.finish = ""
        self.answer_text: str | None = None
        self.price_id: int | None = None
        self.ttft_ms: int | None = None
        self.simulated = target.provider.simulated

    @property
    def remaining_s(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()

    @property
    def tokens(self) -> int:
        """What the answer came to, as far as it is known."""
        return 0 if self.usage is None else self.usage.prompt_tokens + self.usage.completion_tokens

    @property
    def unspent_nusd(self) -> int:
        """What of the hold the attempts that ended so far have left."""
        hold = self.opening.hold_nusd
        return hold - sum(hold if record.cost_nusd is None else record.cost_nusd for record in self.records)

    def ceiling(self, target: Target) -> int | None:
        """A limit on output tokens to set: the key's own, or the one the hold was computed with where nothing else bounds the answer."""
        limit = self.call.identity.max_tokens
        unbounded = self.call.inbound.max_tokens is None and target.model.max_output_tokens is None
        if unbounded and self.held_budgets and self.call.inbound.kind == "chat":
            return DEFAULT_MAX_TOKENS if limit is None else min(limit, DEFAULT_MAX_TOKENS)
        return limit

    def complete(self, attempt: Attempt) -> None:
        """The answer ended as its format says."""
        tally = attempt.tally
        self._receive(attempt)
        if not tally.content and self.call.inbound.kind == "chat":
            self.flags.append("empty")
        if attempt.unmarked:
            self.flags.append("no_terminal")
        if tally.extra:
            self.flags.append("after_end")
        free = self.call.inbound.kind == "count_tokens"
        self._record(attempt, "ok", None, BillingRule.VOID if free else BillingRule.REPORTED)

    def pass_over(self, attempt: Attempt) -> None:
        """The answer ended well, was empty, and another is asked for in its place: it is paid for all the same."""
        self.flags.append("passed_over")
        self._record(attempt, "ok", None, BillingRule.REPORTED)

    def fail(self, attempt: Attempt, failure: Failure, *, partial: bool = False) -> None:
        if partial:
            self._receive(attempt)
        tally = attempt.tally
        rule = billing(
            failure.kind,
            content_seen=tally.content,
            bytes_of_200=attempt.bytes_received if attempt.status == 200 else 0,
            bills_aborted=services.get(attempt.target.provider.service).facts.bills_aborted,
            # Figures that came before the end of the text are a lower bound, not a bill.
            usage_seen=tally.usage is not None and (tally.finish is not None or not tally.content),
            request_sent=attempt.request_sent,
        )
        self._record(attempt, "partial" if partial and tally.content else "failed", failure, rule)

    def cancel(self, attempt: Attempt) -> None:
        self._receive(attempt)
        rule = billing(None, content_seen=attempt.tally.content, cancelled=True, request_sent=attempt.request_sent)
        self._record(attempt, "cancelled", None, rule)

    def lose(self, attempt: Attempt) -> None:
        """Another attempt of this request was faster, so this one was hung up on. It has been asked, so its input is paid for."""
        rule = billing(None, content_seen=attempt.tally.content, cancelled=True, request_sent=attempt.request_sent)
        self._record(attempt, "cancelled", None, rule)

    def settlement(self, state: str, error: GatewayError | None) -> Settlement:
        self.settled = True
        cost, charged = self._money()
        target = self.served or (self.current.target if self.current else None)
        return Settlement(
            id=self.call.id,
            at=time.time(),
            state=state,
            opened=self.opening,
            target=target,
            attempts=tuple(self.records),
            usage=_columns(self.usage),
            cost_nusd=cost,
            charge_nusd=charged,
            price_id=self.price_id,
            latency_ms=round((time.monotonic() - self._started) * 1000),
            ttft_ms=self.ttft_ms,
            status=error.status if error else 499 if state == "client_cancelled" else 200,
            error_code=error.code if error else "",
            finish_reason=self.finish,
            served_model=self.served_model,
            flags=" ".join(dict.fromkeys(self.flags)),
            decision=self.plan.decision(),
            prompt=self._prompt(),
            answer=self.answer_text,
        )

    def summary(self, settlement: Settlement) -> Summary:
        return Summary(
            id=self.call.id,
            state=settlement.state,
            target=settlement.target,
            served_model=self.served_model,
            strategy=self.plan.strategy,
            decision=settlement.decision,
            attempts=settlement.attempts,
            usage=self.usage,
            cost_nusd=settlement.cost_nusd,
            latency_ms=settlement.latency_ms,
            ttft_ms=settlement.ttft_ms,
            finish_reason=self.finish,
            flags=settlement.flags,
        )

    def noted(self, failure: Failure, target: Target | None = None) -> GatewayError:
        """The caller's view of a failed attempt; remembers the shortest wait any provider asked for."""
        if failure.kind is FailureClass.CONTEXT_LENGTH and target is not None:
            failure = msgspec.structs.replace(failure, prompt_tokens=self.plan.prompt_tokens, window=model_facts(target).context_window)
        wait = failure.retry_after_s
        if wait is not None and (self._wait_s is None or wait < self._wait_s):
            self._wait_s = wait
        return from_failure(failure, named_model=self.plan.resolution.named, dialect=self.call.inbound.dialect)

    def final_error(self, error: GatewayError) -> GatewayError:
        """What the caller is told when nothing is left to try: its own deadline comes before a provider's fault. What may be tried again
        later says when: the shortest wait of all candidates, at most a minute, or some seconds where none named one."""
        remaining = self.remaining_s
        if remaining is not None and remaining <= 0:
            return DeadlineExceeded("The request's own deadline passed before an answer came.")
        if error.retryable and isinstance(error, UpstreamError):
            jitter = 1 + (_MAX_JITTER_S - 1) * random.random()  # noqa: S311  # spreads callers
            error.retry_after_s = jitter if self._wait_s is None else min(self._wait_s, _MAX_WAIT_S)
        return error

    @staticmethod
    def shutdown_error() -> GatewayError:
        return ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2)

    def _money(self) -> tuple[int | None, int]:
        """(cost, what budgets are charged). What providers reported is charged in full; what is only feared (estimates, whole holds,
        unknown prices) never takes the sum above the hold, or a second attempt could take a budget past its limit."""
        hold = self.opening.hold_nusd
        reported = sum(r.cost_nusd or 0 for r in self.records if r.billed == BillingRule.REPORTED)
        unknown = any(r.cost_nusd is None for r in self.records)
        rest = [r.cost_nusd for r in self.records if r.billed != BillingRule.REPORTED or r.cost_nusd is None]
        feared = sum(hold if cost is None else cost for cost in rest)
        charged = reported + min(feared, max(0, hold - reported))
        return None if unknown else charged, charged

    def _receive(self, attempt: Attempt) -> None:
        tally = attempt.tally
        self.served = attempt.target
        self.served_model = tally.model or attempt.target.upstream_id
        self.finish = tally.finish.value if tally.finish else ""
        self.ttft_ms = round((attempt.started_at - self.opening.at) * 1000) + (attempt.first_event_ms or 0)
        self.simulated = attempt.target.provider.simulated
        if self.keep_text:
            self.answer_text = "".join(tally.text)[:_TEXT_LIMIT]

    def _record(self, attempt: Attempt, outcome: str, failure: Failure | None, rule: BillingRule) -> None:
        target = attempt.target
        tally = attempt.tally
        told = tally.usage
        if rule in (BillingRule.ESTIMATE, BillingRule.HOLD) and (told is None or told.service_tier is None):
            # Nobody said which tier was at work; the one that was asked for.
            told = msgspec.structs.replace(told or Usage(), service_tier=self.call.inbound.service_tier)
        usage = final_usage(
            told,
            est_prompt_tokens=round(self.plan.prompt_tokens * attempt.lengths.prompt_factor),
            text_chars_received=tally.chars,
            rule=rule,
            chars_per_token=attempt.lengths.chars_per_token,
        )
        charged = charge(rule, usage, self.opening.hold_nusd, target.model.rates, datetime.fromtimestamp(self.opening.at, UTC))
        if rule is not BillingRule.VOID:
            if self.served is attempt.target or self.usage is None:
                self.usage = usage
            self.price_id = charged.price_id
        if charged.overrun:
            self.flags.append("overrun")
        self.records.append(
            AttemptRecord(
                number=len(self.records) + 1,
                provider_id=target.provider.id,
                provider=target.provider.slug,
                credential_id=target.credential.id,
                model_id=target.model.id,
                model=target.model.name,
                upstream_id=target.upstream_id,
                outcome=outcome,
                started_at=attempt.started_at,
                error_class=failure.kind.value if failure else "",
                status=(failure.status if failure else None) or attempt.status,
                detail=failure.message[:500] if failure else "",
                upstream_request_id=attempt.upstream_request_id,
                latency_ms=attempt.elapsed_ms,
                ttft_ms=attempt.first_event_ms,
                bytes_received=attempt.bytes_received,
                streamed=attempt.prepared.streamed,
                billed=rule.value,
                maybe_billed=rule is BillingRule.VOID and attempt.request_sent and failure is not None and attempt.status in (None, 200),
                cost_nusd=charged.cost_nusd,
                failure=failure,
            )
        )

    def _prompt(self) -> str | None:
        if not self.keep_text:
            return None
        body = self.call.inbound.body
        if body:
            return body[:_TEXT_LIMIT].decode("utf-8", "replace")
        shown = []
        room = _TEXT_LIMIT
        for message in self.call.inbound.chat().messages:
            shown.append(msgspec.json.encode(_cut(message)).decode())
            room -= len(shown[-1])
            if room < 0:
                break
        return f"[{','.join(shown)}]"[:_TEXT_LIMIT]


def _cut(message: Message) -> Message:
    """As much of a message as the log can keep; the rest would only cost the event loop its encoding."""
    if all(not isinstance(part, Text) or len(part.text) <= _TEXT_LIMIT for part in message.parts):
        return message
    parts = [msgspec.structs.replace(one, text=one.text[:_TEXT_LIMIT]) if isinstance(one, Text) else one for one in message.parts]
    return msgspec.structs.replace(message, parts=tuple(parts))


_NO_USAGE: Mapping[str, Any] = {}


def _columns(usage: Usage | None) -> Mapping[str, Any]:
    """Token counts by column name of the log row."""
    if usage is None:
        return _NO_USAGE
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_input_tokens": usage.audio_input_tokens,
        "audio_output_tokens": usage.audio_output_tokens,
        "image_input_tokens": usage.image_input_tokens,
        "image_output_tokens": usage.image_output_tokens,
        "web_searches": usage.web_searches,
        "service_tier": usage.service_tier,
        "usage_source": UsageSource(usage.source).value,
    }

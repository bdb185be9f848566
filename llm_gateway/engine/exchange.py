"""One request from its open row to its settlement: opened once, ended once (ok, partial, failed or cancelled)."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from llm_gateway.core.catalog import BodyLogging, Target
from llm_gateway.core.errors import DeadlineExceeded, Failure, FailureClass, GatewayError, UpstreamError, from_failure
from llm_gateway.core.usage import Usage
from llm_gateway.policies.hold import DEFAULT_MAX_TOKENS, BillingRule

from . import bill
from .attempt import Attempt
from .calls import AttemptRecord, Call, Summary
from .gate import KeyGate
from .health import DeploymentHealth
from .live import LiveAttempts
from .plan import Plan, callers_budgets
from .ports import Journal, Observer, Opening, Settlement
from .prompt_text import TEXT_LIMIT, prompt_of
from .spoken import Spoken
from .tasks import TaskOwner
from .ways import model_facts

_MAX_WAIT_S = 60.0
_MAX_JITTER_S = 8.0


class ClientStalled(GatewayError):
    """Log only: the caller has stopped reading."""

    status, code, type = 499, "client_stalled", "client_error"


class Surroundings(NamedTuple):
    """Whom an exchange tells of its attempts and of its end."""

    journal: Journal
    health: DeploymentHealth
    live: LiveAttempts
    gate: KeyGate
    owner: TaskOwner
    observers: Sequence[Observer]


class Exchange:
    """Collects attempts and knows what they cost.

    ``attempts``: those that have begun and are not recorded yet, the oldest first. Each ends in exactly one record, by the race that began
    it or by the end of the exchange.
    """

    __slots__ = (
        "_around", "_deadline", "_finish", "_flags", "_left", "_price_id", "_reserved_tokens", "_served", "_served_model", "_settled",
        "_spoken", "_started", "_text", "_ttft_ms", "_usage", "_wait_s", "attempts", "call", "held_budgets", "keeps_text", "opening",
        "plan", "records",
    )  # fmt: skip

    def __init__(self, around: Surroundings, call: Call, plan: Plan, target: Target, reserved_tokens: int = 0) -> None:
        """``target``: the first to be asked. ``reserved_tokens``: what the gate reserved for this request."""
        self._around = around
        self.call = call
        self.plan = plan
        started = time.monotonic()
        self._deadline = started + call.deadline_s if call.deadline_s is not None else None
        now = time.time()
        at = now if plan.at is None else plan.at.timestamp()
        # Whoever planned and then waited for a place has waited since the plan.
        self._started = started - max(0.0, now - at)
        own = callers_budgets(call, plan.snapshot)
        self.held_budgets = tuple(dict.fromkeys((*own, *target.budgets))) if target.budgets else own
        self.opening = Opening(
            call=call,
            at=at,
            hold_nusd=plan.hold(target),
            budgets=self.held_budgets,
            target=target,
            strategy=plan.strategy,
            simulated=target.provider.simulated,
            choice=None if plan.chosen is None else plan.chosen.text,
            policy=0 if plan.chosen is None else plan.chosen.policy,
        )
        self.keeps_text = call.identity.bodies is BodyLogging.FULL
        self.attempts: list[Attempt] = []
        self.records: list[AttemptRecord] = []
        self._reserved_tokens = reserved_tokens
        self._left = False
        self._settled = False
        # The shortest wait that any provider asked for.
        self._wait_s: float | None = None
        self._flags: list[str] = []
        self._usage: Usage | None = None
        self._price_id: int | None = None
        self._served: Target | None = None
        self._served_model = ""
        self._finish = ""
        self._text: str | None = None
        self._spoken: Spoken | None = None
        self._ttft_ms: int | None = None

    # What the race asks.

    @property
    def remaining_s(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()

    @property
    def unspent_nusd(self) -> int:
        """What of the hold the attempts that ended so far have left."""
        return bill.unspent(self.records, self.opening.hold_nusd)

    def ceiling(self, target: Target) -> int | None:
        """A limit on output tokens to set: the key's own, or the one the hold was computed with where nothing else bounds the answer."""
        limit = self.call.identity.max_tokens
        unbounded = self.call.inbound.max_tokens is None and target.model.max_output_tokens is None
        if unbounded and self.held_budgets and self.call.inbound.kind == "chat":
            return DEFAULT_MAX_TOKENS if limit is None else min(limit, DEFAULT_MAX_TOKENS)
        return limit

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

    # How an attempt begins and ends.

    def begun(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        self._around.live.add(attempt, self.call.identity)

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        """It brought no content. Its ticket stays with whoever decides what the failure says of the host."""
        self._record(attempt, "failed", failure, bill.rule_of_failure(attempt.evidence(), failure))

    def lost(self, attempt: Attempt) -> None:
        """Another attempt was faster: hang up on this one. That says nothing of its host."""
        attempt.abort()
        self._record(attempt, "cancelled", None, bill.rule_of_hanging_up(attempt.evidence()))
        attempt.ticket.release()

    def passed_over(self, attempt: Attempt) -> None:
        """The answer ended well, was empty, and another is asked for in its place: it is paid for all the same."""
        self._flags.append("passed_over")
        self._record(attempt, "ok", None, BillingRule.REPORTED)
        attempt.ticket.succeeded(attempt.elapsed_ms, None, self.records[-1].cost_nusd)

    # How the exchange ends: one of these, then leave().

    async def complete(self, attempt: Attempt) -> Summary:
        """The answer ended as its format says. Returns once that is committed."""
        tally = attempt.tally
        kind = self.call.inbound.kind
        self._serve(attempt)
        if not tally.content and kind == "chat":
            self._flags.append("empty")
        if attempt.unmarked:
            self._flags.append("no_terminal")
        if tally.extra:
            self._flags.append("after_end")
        # Its end is committed below: until then it stays live, so that a shutdown waits for it.
        record = self._record(attempt, "ok", None, BillingRule.VOID if kind == "count_tokens" else BillingRule.REPORTED, live=True)
        settlement = self._settlement("ok", None)
        attempt.ticket.succeeded(record.latency_ms or 0, record.ttft_ms, record.cost_nusd)
        if kind == "chat" and tally.usage is not None:
            self._around.health.measured(attempt.target, tally.usage, tally.chars, self.plan.prompt_tokens)
        return await self._settle(settlement)

    async def break_off(self, failure: Failure, *, delivered: bool) -> GatewayError:
        """The answer broke off after content. ``delivered``: some of it reached the caller. Returns what the caller is told."""
        ours = self._around.live.ours(failure)
        if (attempt := self._hang_up()) is not None:
            self._serve(attempt)
            evidence = attempt.evidence()
            outcome = "partial" if evidence.content else "failed"
            self._record(attempt, outcome, failure, bill.rule_of_failure(evidence, failure))
            if ours is None:
                attempt.ticket.failed(failure, attempt.elapsed_ms / 1000)
            else:
                attempt.ticket.release()
        error = ours or from_failure(failure)
        await self._settle(self._settlement("partial" if delivered else "failed", error))
        return error

    async def fail(self, error: GatewayError) -> None:
        """No answer. What still runs is ended by us, not by its provider."""
        if self._settled:
            return
        target = self.attempts[0].target if self.attempts else None
        if (first := self._hang_up()) is not None:
            failure = Failure(kind=FailureClass.PROTOCOL, message=error.code)
            self._record(first, "failed", failure, bill.rule_of_failure(first.evidence(), failure))
            first.ticket.release()
        await self._settle(self._settlement("failed", error, target))

    def cancel(self, *, stalled: bool = False) -> None:
        """The caller left. The task that served it is being torn down, so the settlement belongs to somebody else."""
        if self._settled:
            for attempt in self.attempts:
                attempt.abort()
            return
        if (first := self._hang_up()) is not None:
            self._serve(first)
            self._record(first, "cancelled", None, bill.rule_of_hanging_up(first.evidence()))
            first.ticket.release()
        error = ClientStalled("The caller stopped reading.") if stalled else None
        settlement = self._settlement("partial" if stalled else "client_cancelled", error)
        self._around.owner.start(self._settle(settlement), f"settle {self.call.id}")

    def leave(self) -> None:
        """Nobody waits for anything of it any more."""
        for attempt in self.attempts:
            self._around.live.discard(attempt)
        self.attempts.clear()
        if not self._left:
            self._left = True
            identity, used = self.call.identity, 0
            if self._usage is not None and identity.tokens_per_minute is not None:
                used = self._usage.prompt_tokens + self._usage.completion_tokens
            self._around.gate.leave(identity, self._reserved_tokens, used)

    def _hang_up(self) -> Attempt | None:
        """On every attempt that runs; the oldest, which the caller waited for, is the only one left to be recorded."""
        for attempt in self.attempts[1:]:
            self.lost(attempt)
        if not self.attempts:
            return None
        self.attempts[0].abort()
        return self.attempts[0]

    async def _settle(self, settlement: Settlement) -> Summary:
        await self._around.journal.settle(settlement)
        for observer in self._around.observers:
            observer.finished(settlement)
        return self._summary(settlement)

    def _serve(self, attempt: Attempt) -> None:
        """The caller's answer is, as far as it came, this attempt's."""
        tally = attempt.tally
        self._served = attempt.target
        self._served_model = tally.model or attempt.target.upstream_id
        self._finish = tally.finish.value if tally.finish else ""
        self._ttft_ms = round((attempt.started_at - self.opening.at) * 1000) + (attempt.first_event_ms or 0)
        self._spoken = tally.spoken
        if self.keeps_text:
            self._text = "".join(tally.text)[:TEXT_LIMIT]

    def _record(self, attempt: Attempt, outcome: str, failure: Failure | None, rule: BillingRule, *, live: bool = False) -> AttemptRecord:
        asked = bill.Asked(
            prompt_tokens=self.plan.prompt_tokens,
            service_tier=self.call.inbound.service_tier,
            hold_nusd=self.opening.hold_nusd,
            at=self.opening.at,
        )
        made = bill.entry(len(self.records) + 1, attempt.evidence(), asked, outcome, failure, rule)
        if made.usage is not None:
            if self._served is attempt.target or self._usage is None:
                self._usage = made.usage
            self._price_id = made.price_id
        if made.overrun:
            self._flags.append("overrun")
        self.records.append(made.record)
        if not live:
            self.attempts.remove(attempt)
            self._around.live.discard(attempt)
        return made.record

    def _settlement(self, state: str, error: GatewayError | None, target: Target | None = None) -> Settlement:
        """``target``: whose answer was awaited, where none came."""
        self._settled = True
        cost, charged = bill.total(self.records, self.opening.hold_nusd)
        return Settlement(
            id=self.call.id,
            at=time.time(),
            state=state,
            opened=self.opening,
            target=self._served or target,
            attempts=tuple(self.records),
            usage=bill.columns(self._usage),
            cost_nusd=cost,
            charge_nusd=charged,
            price_id=self._price_id,
            latency_ms=round((time.monotonic() - self._started) * 1000),
            ttft_ms=self._ttft_ms,
            status=error.status if error else 499 if state == "client_cancelled" else 200,
            error_code=error.code if error else "",
            finish_reason=self._finish,
            served_model=self._served_model,
            flags=" ".join(dict.fromkeys(self._flags)) if self._flags else "",
            decision=self.plan.decision(),
            prompt=prompt_of(self.call.inbound) if self.keeps_text else None,
            answer=self._text,
            spoken=self._spoken,
        )

    def _summary(self, settlement: Settlement) -> Summary:
        decision, chosen = settlement.decision, self.plan.chosen
        if chosen is not None:
            # For the caller also what the log has a shorter word for.
            decision = {**decision, "candidates": chosen.shown()}
        return Summary(
            id=self.call.id,
            state=settlement.state,
            target=settlement.target,
            served_model=self._served_model,
            strategy=self.plan.strategy,
            decision=decision,
            attempts=settlement.attempts,
            usage=self._usage,
            cost_nusd=settlement.cost_nusd,
            latency_ms=settlement.latency_ms or 0,
            ttft_ms=settlement.ttft_ms,
            finish_reason=self._finish,
            flags=settlement.flags,
        )

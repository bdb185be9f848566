"""The one way through: resolve, hold, try, settle. Every dialect, streaming or not, comes along here."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from llm_gateway.core.errors import (
    AttemptFailed,
    BudgetExhausted,
    BudgetInFlight,
    Failure,
    FailureClass,
    GatewayError,
    InternalError,
    NoHealthyDeployment,
    RequestExceedsBudget,
    from_failure,
)
from llm_gateway.core.events import collect
from llm_gateway.policies.deadline import DEFAULT_CLOCKS, Clocks
from llm_gateway.providers import services

from .calls import Call, StreamAnswer, Summary, WholeAnswer
from .gate import KeyGate
from .health import DeploymentHealth
from .plan import plan
from .ports import Catalog, Journal, Observer, Rejection
from .relay import Relay
from .run import ClientStalled, Run
from .tasks import TaskOwner
from .transport import Upstream
from .trying import Trying

log = logging.getLogger("cogo.engine")

_FAILED = "The gateway failed; the operator finds the reason under this request id in its log."


class Pipeline:
    """``defaults``: the gateway's own clocks."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        journal: Journal,
        health: DeploymentHealth,
        upstream: Upstream,
        gate: KeyGate,
        owner: TaskOwner,
        observers: Sequence[Observer] = (),
        defaults: Clocks = DEFAULT_CLOCKS,
    ) -> None:
        self.catalog = catalog
        self.journal = journal
        self.health = health
        self.gate = gate
        self.owner = owner
        self.observers = observers
        self.trying = Trying(catalog=catalog, journal=journal, health=health, upstream=upstream, gate=gate, owner=owner, defaults=defaults)

    async def whole(self, call: Call) -> WholeAnswer:
        """The complete answer, settled. Raises :class:`GatewayError`, logged already."""
        run = await self._enter(call)
        try:
            attempt = await self.trying.content(run)
            frames = attempt.held
            if attempt.response is None and attempt.body is None:
                while not attempt.tally.done:
                    if attempt.tally.failure is not None:
                        raise AttemptFailed(attempt.clean(attempt.tally.failure))
                    frames += await attempt.more()
            response = attempt.response
            if response is None and attempt.body is None:
                response = collect(event for frame in frames for event in frame.events)
            run.complete(attempt)
            summary = await self.settle(run, "ok", None)
            await attempt.finish()
            return WholeAnswer(summary=summary, response=response, body=attempt.body)
        except AttemptFailed as error:
            # Content had been received, so this is the end: no second provider after the first has worked (reliability.md B2).
            raise await self.end_partial(run, error.failure, delivered=False) from None
        except GatewayError as error:
            await self.end_failed(run, error)
            raise
        except asyncio.CancelledError:
            self.end_cancelled(run)
            raise
        except Exception as error:
            raise await self._broke(run) from error
        finally:
            self.leave(run)

    async def stream(self, call: Call) -> StreamAnswer:
        """Returns with the first content in hand; whoever gets it iterates it to its end or closes it. Raises :class:`GatewayError` before,
        logged already."""
        run = await self._enter(call)
        try:
            attempt = await self.trying.content(run)
            model = attempt.tally.model or attempt.target.upstream_id
            answer = StreamAnswer(call.id, attempt.target, model, attempt.passthrough, len(run.records) + 1, run.plan.strategy)
            answer.stands_in_for = run.plan.resolution.stands_in_for
            answer.frames = Relay(self, run, attempt, answer)
            return answer
        except BaseException as error:
            try:
                if isinstance(error, GatewayError):
                    await self.end_failed(run, error)
                elif isinstance(error, asyncio.CancelledError):
                    self.end_cancelled(run)
                elif isinstance(error, Exception):
                    raise await self._broke(run) from error
                raise
            finally:
                self.leave(run)

    async def reject(self, call: Call, error: GatewayError, *, strategy: str = "", state: str = "rejected") -> None:
        """Log a request that never got as far as a hold. Does not raise: the caller is told its own error first."""
        try:
            await self._finished(Rejection(call=call, at=time.time(), error=error, strategy=strategy, state=state))
        except GatewayError:
            return

    async def note(self, call: Call, *, error: GatewayError | None = None, state: str = "ok") -> None:
        """Log a request that the gateway answers by itself. Raises the store's errors: what cannot be logged is not answered."""
        await self._finished(Rejection(call=call, at=time.time(), error=error, state=state))

    def counts(self, call: Call) -> bool:
        """Whether the target that would be tried first counts tokens itself: asked in its own format any host may, in another only a
        service that is known to. Raises as :meth:`whole` would, without logging."""
        made = plan(call, self.catalog.snapshot(), self.health, datetime.now(UTC), 0.0)
        provider = made.order[0].provider
        return provider.wire == call.inbound.dialect or services.get(provider.service).facts.counts_tokens

    def end_streams(self, failure: Failure) -> None:
        """End every live answer with ``failure`` (shutdown); each settles what it has. No attempt begins after this."""
        self.trying.end(failure)

    def end_revoked(self) -> int:
        """End the live answers of client keys that the newest catalogue no longer admits, each as its dialect says, settled with what it
        has. Returns how many."""
        return self.trying.end_revoked()

    @property
    def live(self) -> int:
        return len(self.trying.live)

    async def _finished(self, rejection: Rejection) -> None:
        await self.journal.reject(rejection)
        for observer in self.observers:
            observer.rejected(rejection)

    async def _enter(self, call: Call) -> Run:
        """Checks, the plan, and the hold: after this the log row is open."""
        try:
            self.gate.enter(call.identity)
        except GatewayError as error:
            await self.reject(call, error)
            raise
        run: Run | None = None
        try:
            made = plan(call, self.catalog.snapshot(), self.health, datetime.now(UTC), random.random())  # noqa: S311  # spreads load
            run = Run(call, made, self.trying.first(made))
            try:
                await self.journal.open(run.opening)
            except (RequestExceedsBudget, BudgetExhausted, BudgetInFlight) as error:
                run = self._free_instead(run, error)
                await self.journal.open(run.opening)
            return run
        except BaseException as error:
            if run is not None:
                self.trying.release(run)
            self.gate.leave(call.identity)
            if isinstance(error, GatewayError):
                await self.reject(call, error, state="failed" if isinstance(error, NoHealthyDeployment) else "rejected")
            raise

    def _free_instead(self, run: Run, error: GatewayError) -> Run:
        """A budget has no room for what this request may cost: the same request at the targets that cost nothing. Raises ``error`` where
        there is none, or none that may be tried."""
        first = run.opening.target
        self.trying.release(run)
        if not run.plan.only_free(first, error.message):
            raise error
        try:
            return Run(run.call, run.plan, self.trying.first(run.plan))
        except NoHealthyDeployment:
            raise error from None

    # How a run ends. Relay uses these, too.

    async def settle(self, run: Run, state: str, error: GatewayError | None) -> Summary:
        settlement = run.settlement(state, error)
        if state == "ok" and run.admitted is not None:
            record = run.records[-1]
            target, run.admitted = run.admitted, None
            self.health.succeeded(target, record.latency_ms or 0, record.ttft_ms, record.cost_nusd)
            if run.call.inbound.kind == "chat" and run.current is not None and (usage := run.current.tally.usage) is not None:
                self.health.measured(target, usage, run.current.tally.chars, run.plan.prompt_tokens)
        await self.journal.settle(settlement)
        for observer in self.observers:
            observer.finished(settlement)
        return run.summary(settlement)

    async def end_partial(self, run: Run, failure: Failure, *, delivered: bool) -> GatewayError:
        """The answer broke off. Returns what the caller is told."""
        ours = self.trying.ours(failure)
        attempt = run.current
        if attempt is not None:
            attempt.abort()
            run.fail(attempt, failure, partial=True)
            if ours is None:
                self.trying.failed(run, failure, attempt.elapsed_ms / 1000)
        self.trying.release(run)
        error = ours or from_failure(failure)
        await self.settle(run, "partial" if delivered else "failed", error)
        return error

    async def end_failed(self, run: Run, error: GatewayError) -> None:
        if run.settled:
            return
        attempt = run.current
        if attempt is not None:
            attempt.abort()
            run.fail(attempt, Failure(kind=FailureClass.PROTOCOL, message=error.code))
        self.trying.release(run)
        await self.settle(run, "failed", error)

    def end_cancelled(self, run: Run, *, stalled: bool = False) -> None:
        """The caller left. The task that served it is being torn down, so the settlement belongs to somebody else."""
        attempt = run.current
        if attempt is not None:
            attempt.abort()
        if run.settled:
            return
        if attempt is not None:
            run.cancel(attempt)
        self.trying.release(run)
        error = ClientStalled("The caller stopped reading.") if stalled else None
        self.owner.start(self.settle(run, "partial" if stalled else "client_cancelled", error), f"settle {run.call.id}")

    def leave(self, run: Run) -> None:
        if run.current is not None:
            self.trying.live.pop(run.current, None)
        if not run.left:
            run.left = True
            self.gate.leave(run.call.identity)

    async def _broke(self, run: Run) -> InternalError:
        log.exception("the pipeline failed", extra={"request_id": str(run.call.id)})
        error = InternalError(_FAILED)
        await self.end_failed(run, error)
        return error

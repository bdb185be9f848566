"""The one way through: resolve, hold, try, settle. Every dialect, streaming or not, comes along here."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import (
    AttemptFailed,
    Failure,
    FailureClass,
    GatewayError,
    InternalError,
    NoHealthyDeployment,
    UnsupportedParameter,
    from_failure,
)
from llm_gateway.core.events import Frame, collect
from llm_gateway.policies import retry
from llm_gateway.policies.deadline import Clocks, clocks_for
from llm_gateway.policies.retry import RetryBudget, Step

from .attempt import Attempt, prepare
from .calls import Call, StreamAnswer, Summary, WholeAnswer
from .gate import KeyGate
from .health import DeploymentHealth
from .plan import Plan, plan
from .ports import Catalog, Journal, Observer, Rejection
from .run import Run
from .tasks import TaskOwner
from .transport import Upstream

_K = FailureClass


class Pipeline:
    """``defaults``: the gateway's own clocks. ``unpriced_ceiling``: pico-USD per token charged where no price is known, ``None``: refuse."""

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
        defaults: Clocks = Clocks(),
    ) -> None:
        self.catalog = catalog
        self.journal = journal
        self.health = health
        self.upstream = upstream
        self.gate = gate
        self.owner = owner
        self.observers = observers
        self.defaults = defaults
        self._retrying = 0
        self._live: set[Attempt] = set()

    async def whole(self, call: Call) -> WholeAnswer:
        """The complete answer, settled. Raises :class:`GatewayError`, logged already."""
        run = await self._enter(call)
        try:
            attempt = await self._acquire(run)
            frames = list(attempt.held)
            if attempt.response is None and attempt.body is None:
                while not attempt.tally.done:
                    frames += await attempt.more()
                    self._judge(attempt)
            response = attempt.response
            if response is None and attempt.body is None:
                response = collect(event for frame in frames for event in frame.events)
            run.complete(attempt)
            summary = await self._settle(run, "ok", None)
            await attempt.finish()
            return WholeAnswer(summary=summary, response=response, body=attempt.body)
        except AttemptFailed as error:
            # Content had been received, so this is the end: no second provider after the first has worked (reliability.md B2).
            raise await self._end_partial(run, error.failure, delivered=False) from None
        except GatewayError as error:
            await self._end_failed(run, error)
            raise
        except asyncio.CancelledError:
            self._end_cancelled(run)
            raise
        except Exception as error:
            await self._end_failed(
                run, InternalError("The gateway failed; the operator finds the reason under this request id in its log.")
            )
            raise InternalError("The gateway failed; the operator finds the reason under this request id in its log.") from error
        finally:
            self._leave(run)

    async def stream(self, call: Call) -> StreamAnswer:
        """Returns with the first content in hand. Raises :class:`GatewayError` before it, logged already."""
        run = await self._enter(call)
        try:
            attempt = await self._acquire(run)
        except GatewayError as error:
            await self._end_failed(run, error)
            self._leave(run)
            raise
        except asyncio.CancelledError:
            self._end_cancelled(run)
            self._leave(run)
            raise
        except Exception as error:
            await self._end_failed(
                run, InternalError("The gateway failed; the operator finds the reason under this request id in its log.")
            )
            self._leave(run)
            raise InternalError("The gateway failed; the operator finds the reason under this request id in its log.") from error
        served = attempt.tally.model or attempt.target.upstream_id
        answer = StreamAnswer(call.id, attempt.target, served, attempt.passthrough, len(run.records) + 1, run.plan.strategy)
        answer.frames = self._relay(run, attempt, answer)
        return answer

    async def reject(self, call: Call, error: GatewayError, *, strategy: str = "", state: str = "rejected") -> None:
        """Log a request that never got as far as a hold. Does not raise: the caller is told its own error first."""
        try:
            await self._finished(Rejection(call=call, at=time.time(), error=error, strategy=strategy, state=state))
        except GatewayError:
            return

    async def note(self, call: Call) -> None:
        """Log a request that the gateway answers by itself. Raises the store's errors: what cannot be logged is not answered."""
        await self._finished(Rejection(call=call, at=time.time(), error=None, state="ok"))

    def speaks(self, call: Call, wire: str) -> bool:
        """Whether the target that would be tried first is spoken to in ``wire``. Raises as :meth:`whole` would, without logging."""
        made = plan(call, self.catalog.snapshot(), self.health, datetime.now(UTC), 0.0)
        return made.order[0].provider.wire == wire

    async def _finished(self, rejection: Rejection) -> None:
        await self.journal.reject(rejection)
        for observer in self.observers:
            observer.rejected(rejection)

    def end_streams(self, failure: Failure) -> None:
        """End every live answer with ``failure`` (shutdown); each settles what it has."""
        for attempt in set(self._live):
            attempt.abort(failure)

    @property
    def live(self) -> int:
        return len(self._live)

    async def _enter(self, call: Call) -> Run:
        """Checks, the plan, and the hold: after this the log row is open."""
        try:
            self.gate.enter(call.identity)
        except GatewayError as error:
            await self.reject(call, error)
            raise
        admitted: Target | None = None
        try:
            made = plan(call, self.catalog.snapshot(), self.health, datetime.now(UTC), random.random())  # noqa: S311  # spreads load
            admitted = self._first(made)
            run = Run(call, made, admitted)
            await self.journal.open(run.opening)
        except GatewayError as error:
            if admitted is not None:
                self.health.released(admitted)
            self.gate.leave(call.identity)
            state = "failed" if isinstance(error, NoHealthyDeployment) else "rejected"
            await self.reject(call, error, state=state)
            raise
        except BaseException:
            if admitted is not None:
                self.health.released(admitted)
            self.gate.leave(call.identity)
            raise
        return run

    def _first(self, made: Plan) -> Target:
        target = self._next_admitted(made)
        if target is not None:
            return target
        for candidate in made.order:
            if self.health.panic(candidate):
                return candidate
        waits = [self.health.wait_s(target) for target in made.order]
        raise NoHealthyDeployment(
            "Every model that could answer is resting after failures; try again shortly.",
            retry_after_s=min(max(min(waits, default=1.0), 1.0), 60.0),
            details={"skipped": [f"{who}: {why}" for who, why in made.skipped][:20]},
        )

    def _next_admitted(self, made: Plan) -> Target | None:
        while made.remaining:
            target = made.remaining.pop(0)
            why = self.health.admit(target)
            if why is None:
                return target
            made.skip(target, why)
        return None

    async def _acquire(self, run: Run) -> Attempt:
        """Try targets until one gives content."""
        call = run.call
        target: Target | None = run.opening.target
        tries: dict[tuple[int, str], int] = {}
        last: GatewayError | None = None
        force_stream = False
        while target is not None:
            try:
                prepared = prepare(call, target, run.ceiling(target), force_stream)
            except UnsupportedParameter as error:
                self.health.released(target)
                run.plan.skip(target, f"cannot take {error.param or 'a parameter'}")
                last = last or error
                target = await self._following(run, target)
                continue
            remaining = run.remaining_s
            clocks = clocks_for(target.provider, remaining, self.defaults, streamed=prepared.streamed)
            attempt = Attempt(target, prepared, clocks, run.keep_text)
            tries[target.deployment] = tries.get(target.deployment, 0) + 1
            self._live.add(attempt)
            run.current = attempt
            try:
                await attempt.begin(self.upstream)
                return attempt
            except AttemptFailed as error:
                failure = error.failure
            except BaseException:
                self._live.discard(attempt)
                raise
            self._live.discard(attempt)
            run.current = None
            if failure.code == "stream_required" and not prepared.streamed:
                # The provider wants long answers streamed (its cap moved): the same request again, as a stream.
                force_stream = True
                run.fail(attempt, failure)
                self.health.released(target)
                continue
            run.fail(attempt, failure)
            self.health.failed(target, failure, attempt.elapsed_ms / 1000)
            last = from_failure(failure, named_model=run.plan.resolution.named)
            step = self._step(run, target, failure, tries[target.deployment], clocks)
            if step.kind == "stop":
                raise run.final_error(last)
            if step.kind == "same":
                await self._wait(step.delay_s)
                why = self.health.admit(target)
                if why is not None:
                    raise run.final_error(last)
                continue
            run.plan.narrow(step.scope, target)
            target = await self._following(run, target)
        assert last is not None
        raise run.final_error(last)

    async def _following(self, run: Run, before: Target) -> Target | None:
        """The next admitted target, with its own budgets held."""
        while (target := self._next_admitted(run.plan)) is not None:
            extra = tuple(b for b in target.budgets if b not in run.held_budgets)
            if not extra:
                return target
            try:
                await self.journal.reserve(run.opening, target, run.opening.hold_nusd)
            except GatewayError as error:
                self.health.released(target)
                run.plan.skip(target, error.message)
                continue
            run.held_budgets += extra
            return target
        return None

    def _step(self, run: Run, target: Target, failure: Failure, tries: int, clocks: Clocks) -> Step:
        budget = RetryBudget(in_flight=self.gate.in_flight, retrying=self._retrying)
        return retry.after(
            failure,
            attempts=len(run.records),
            same_target_tries=tries,
            others_left=bool(run.plan.eligible(failure, target)),
            remaining_s=run.remaining_s if run.remaining_s is not None else clocks.total_ms / 1000,
            content_sent=False,
            draw=random.random(),  # noqa: S311  # jitter
            budget_allows=budget.allows,
            first_event_s=min(clocks.first_event_ms / 1000, 1.0),
        )

    async def _wait(self, delay_s: float) -> None:
        if delay_s > 0:
            self._retrying += 1
            try:
                await asyncio.sleep(delay_s)
            finally:
                self._retrying -= 1

    async def _relay(self, run: Run, attempt: Attempt, answer: StreamAnswer) -> AsyncIterator[list[Frame]]:
        frames = attempt.held
        attempt.held = []
        ended = False
        try:
            while True:
                self._judge(attempt)
                if attempt.tally.done:
                    last = next((i for i, frame in enumerate(frames) if _is_last(frame)), 0)
                    if last:
                        yield frames[:last]
                    ended = True
                    run.complete(attempt)
                    answer.summary = await self._settle(run, "ok", None)
                    yield frames[last:]
                    await attempt.finish()
                    return
                if frames:
                    yield frames
                frames = await attempt.more()
        except AttemptFailed as error:
            ended = True
            if frames and error.failure is attempt.tally.failure:
                content = [Frame(frame.raw, frame.events) for frame in frames if frame.events and not _failed(frame)]
                if content:
                    yield content
            raise await self._end_partial(run, error.failure, delivered=True) from None
        except (asyncio.CancelledError, GeneratorExit):
            if not ended:
                self._end_cancelled(run)
            raise
        except GatewayError:
            raise
        except Exception as error:
            if not ended:
                await self._end_failed(run, InternalError("The gateway failed in the middle of the answer."))
            raise InternalError("The gateway failed in the middle of the answer.") from error
        finally:
            self._leave(run)

    def _judge(self, attempt: Attempt) -> None:
        """A provider's error inside the stream ends it."""
        failure = attempt.tally.failure
        if failure is not None and not attempt.tally.done:
            attempt.abort()
            raise AttemptFailed(failure)

    async def _end_partial(self, run: Run, failure: Failure, *, delivered: bool) -> GatewayError:
        attempt = run.current
        if attempt is not None:
            attempt.abort()
            run.fail(attempt, failure, partial=True)
            self.health.failed(attempt.target, failure, attempt.elapsed_ms / 1000)
            self._live.discard(attempt)
            run.current = None
        error = from_failure(failure) if failure.code != "server_shutting_down" else run.shutdown_error()
        await self._settle(run, "partial" if delivered else "failed", error)
        return error

    async def _end_failed(self, run: Run, error: GatewayError) -> None:
        if run.settled:
            return
        attempt = run.current
        if attempt is not None:
            attempt.abort()
            run.fail(attempt, Failure(kind=_K.PROTOCOL, message=error.code))
            self.health.released(attempt.target)
        await self._settle(run, "failed", error)

    def _end_cancelled(self, run: Run) -> None:
        """The caller left. The task that served it is being torn down, so the settlement belongs to somebody else."""
        if run.settled:
            return
        attempt = run.current
        if attempt is not None:
            attempt.abort()
            run.cancel(attempt)
            self.health.released(attempt.target)
        else:
            self.health.released(run.opening.target)
        self.owner.start(self._settle(run, "client_cancelled", None), f"settle {run.call.id}")

    async def _settle(self, run: Run, state: str, error: GatewayError | None) -> Summary:
        settlement = run.settlement(state, error)
        attempt = run.current
        if attempt is not None and state == "ok":
            record = run.records[-1]
            self.health.succeeded(attempt.target, record.latency_ms or 0, record.ttft_ms, record.cost_nusd)
        await self.journal.settle(settlement)
        for observer in self.observers:
            observer.finished(settlement)
        return run.summary(settlement)

    def _leave(self, run: Run) -> None:
        if run.current is not None:
            self._live.discard(run.current)
        if not run.left:
            run.left = True
            self.gate.leave(run.call.identity)


def _is_last(frame: Frame) -> bool:
    return any(type(event).__name__ in ("Done", "Finish") for event in frame.events)


def _failed(frame: Frame) -> bool:
    return any(type(event).__name__ == "Failed" for event in frame.events)

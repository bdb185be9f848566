"""From a plan to an attempt whose first content is in hand: the one loop that tries targets. There is no other retry."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import NamedTuple

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import (
    AttemptFailed,
    Failure,
    FailureClass,
    GatewayError,
    KeyRevoked,
    NoHealthyDeployment,
    UnsupportedParameter,
)
from llm_gateway.policies import retry
from llm_gateway.policies.deadline import Clocks, clocks_for
from llm_gateway.policies.retry import RetryBudget, Step
from llm_gateway.policies.thinking import refuses_thinking
from llm_gateway.wires import issuer_of

from .attempt import Attempt
from .gate import KeyGate, revoked
from .health import DeploymentHealth
from .heavy import away
from .hedging import Hedging, Tries
from .issuers import Issuers
from .plan import Plan, not_served
from .ports import Catalog, Journal
from .prepare import prepare
from .run import Run
from .tasks import TaskOwner
from .transport import Upstream

_K = FailureClass
_TOO_LONG = frozenset({_K.CONTEXT_LENGTH, _K.TOO_LARGE})
# A remaining deadline shorter than this is no time for another attempt (U5).
_LEAST_FIRST_EVENT_S = 1.0
# Given to the live answers of a key that is no longer good; told from a provider's reset by identity.
_KEY_GONE = Failure(kind=_K.RESET, code="key_revoked", message="the client key was revoked or has expired")


class Form(NamedTuple):
    """How a request is sent. A provider that refuses the form and not the request gets it once more in another one."""

    streamed: bool = False
    bare: bool = False

    def instead(self, failure: Failure, attempt: Attempt, attempts: int) -> Form | None:
        if failure.code == "stream_required" and not attempt.prepared.streamed:
            # The provider wants long answers streamed (its cap moved): the same request again, as a stream.
            return self._replace(streamed=True)
        if refuses_thinking(failure) and not self.bare and attempts < retry.MAX_ATTEMPTS:
            # It cannot read thinking of the history that it did not make, or no longer can: once more without any.
            return self._replace(bare=True)
        return None


class Trying:
    """Keeps two balances: every admitted target is reported back exactly once (succeeded, failed or released), and every live attempt
    leaves ``live``. What is admitted at the moment is ``run.admitted``."""

    def __init__(
        self, *, catalog: Catalog, journal: Journal, health: DeploymentHealth, upstream: Upstream, gate: KeyGate, owner: TaskOwner,
        defaults: Clocks,
    ) -> None:  # fmt: skip
        self.catalog = catalog
        self.journal = journal
        self.health = health
        self.upstream = upstream
        self.gate = gate
        self.defaults = defaults
        self.issuers = Issuers()
        self.live: dict[Attempt, Run] = {}
        self.ending: Failure | None = None
        self.retrying = 0
        self._hedging = Hedging(self, owner)

    def first(self, made: Plan) -> Target:
        """Admit the first target that may be tried. Raises :class:`NoHealthyDeployment`, or :class:`NotServed` where waiting is no use."""
        target = self._next_admitted(made)
        if target is not None:
            return target
        for candidate in made.order:
            if self.health.panic(candidate):
                return candidate
        if all(self.health.needs_operator(target) for target in made.order):
            raise not_served(made.skipped)
        waits = [self.health.wait_s(target) for target in made.order if not self.health.needs_operator(target)]
        raise NoHealthyDeployment(
            "Every model that could answer is resting after failures; try again shortly.",
            retry_after_s=min(max(min(waits, default=1.0), 1.0), 60.0),
            details={"skipped": [f"{who}: {why}" for who, why in made.skipped][:20]},
        )

    async def content(self, run: Run) -> Attempt:
        """The attempt whose answer (or its first content) is in hand. Raises the :class:`GatewayError` for the caller when nothing is
        left to try; then nothing is admitted."""
        target = run.admitted
        tries: Tries = {}
        last: GatewayError | None = None
        form, again = Form(), False
        while target is not None:
            if (told := self._unwanted(run)) is not None:
                raise told
            try:
                attempt = await self.attempt(run, target, *form)
            except UnsupportedParameter as error:
                self.release(run)
                run.plan.skip(target, f"cannot take {error.param or 'a parameter'}")
                last = last or error
                target = await self._following(run)
                continue
            tries[target.deployment] = tries.get(target.deployment, 0) + 1
            attempt, failure = await self._tried(run, attempt, tries, again)
            target, again = attempt.target, False
            count = tries[target.deployment]
            if failure is None:
                instead = await self._instead_of_empty(run, attempt)
                if instead is None:
                    return attempt
                target = instead
                continue
            if (other := form.instead(failure, attempt, len(run.records))) is not None:
                form = other
                continue
            if run.call.kind == "count_tokens" and failure.kind is _K.MODEL_GONE:
                # A host without the endpoint says so with a 404, which tells nothing of the model.
                self.release(run)
            else:
                self.failed(run, failure, attempt.elapsed_ms / 1000)
            if failure.kind in _TOO_LONG:
                self.health.refused_length(target, run.plan.prompt_tokens)
            last = run.noted(failure, target)
            step = self.step(run, attempt, failure, count)
            if step.kind == "same":
                await self._wait(step.delay_s)
                if self.health.admit(target) is not None:
                    raise run.final_error(last)
                run.admitted = target
                again = step.delay_s > 0
                continue
            if step.kind == "stop":
                raise run.final_error(last)
            run.plan.narrow(step.scope, target)
            target = await self._following(run)
        assert last is not None
        raise run.final_error(last)

    async def attempt(self, run: Run, target: Target, force_stream: bool, bare: bool = False) -> Attempt:
        """Ready to begin. ``bare``: without the thinking of the history. Raises :class:`UnsupportedParameter`."""
        issuer = issuer_of(target.provider.slug, target.upstream_id)
        strangers = self.issuers.strangers(issuer)
        inbound = run.call.inbound
        size = len(inbound.body) or inbound.size
        prepared = await away(size, prepare, run.call, target, run.ceiling(target), force_stream, strangers, bare)
        clocks = clocks_for(target.provider, run.remaining_s, self.defaults, streamed=prepared.streamed)
        attempt = Attempt(target, prepared, clocks, run.keep_text, self.health.lengths(target))
        if prepared.passthrough:
            attempt.tally.on_token = partial(self.issuers.note, issuer=issuer)
        return attempt

    async def _tried(self, run: Run, attempt: Attempt, tries: Tries, again: bool) -> tuple[Attempt, Failure | None]:
        """The attempt that is left, and why it has no content. ``again``: it repeats one, which counts until its answer begins."""
        after_s = run.plan.hedge_after_s
        self.retrying += again
        try:
            if after_s is not None:
                return await self._hedging.begun(run, attempt, tries, after_s)
            return attempt, await self._begun(run, attempt, tries[attempt.target.deployment])
        finally:
            self.retrying -= again

    async def _begun(self, run: Run, attempt: Attempt, count: int) -> Failure | None:
        """``None`` with content in hand, else why there is none, recorded. ``count``: the attempts at this target, this one included."""
        self.live[attempt] = run
        run.current = attempt
        try:
            await attempt.begin(self.upstream)
            return None
        except AttemptFailed as error:
            return self.not_begun(run, attempt, error.failure, count)

    def not_begun(self, run: Run, attempt: Attempt, failure: Failure, count: int) -> Failure:
        """Record an attempt without content. Raises where it was us who ended it."""
        self.live.pop(attempt, None)
        run.current = None
        if failure.kind is _K.STALE_CONNECTION and count > 1:
            # Twice in a row is not a connection that had idled too long.
            failure = msgspec.structs.replace(failure, kind=_K.RESET)
        run.fail(attempt, failure)
        if (told := self.ours(failure)) is not None:
            self.release(run)
            raise told
        return failure

    async def _instead_of_empty(self, run: Run, attempt: Attempt) -> Target | None:
        """The target to ask after an answer without content, where the strategy wants that and there is one (U23)."""
        if attempt.tally.content or not run.plan.option("retry_empty") or run.call.inbound.kind != "chat":
            return None
        remaining = run.remaining_s
        if len(run.records) + 1 >= retry.MAX_ATTEMPTS or (remaining is not None and remaining < _LEAST_FIRST_EVENT_S):
            return None
        answered, run.admitted = run.admitted, None
        try:
            following = await self._following(run)
        except BaseException:
            self.release(run)
            run.admitted = answered
            raise
        if following is None:
            run.admitted = answered
            return None
        run.admitted = answered
        self.passed_over(run, attempt)
        run.admitted = following
        await attempt.finish()
        return following

    def passed_over(self, run: Run, attempt: Attempt) -> None:
        """An empty answer ended well; it is not the request's."""
        run.pass_over(attempt)
        if run.admitted is not None:
            self.health.succeeded(run.admitted, attempt.elapsed_ms, None, run.records[-1].cost_nusd)
            run.admitted = None
        self.live.pop(attempt, None)
        run.current = None

    def release(self, run: Run) -> None:
        """What is admitted ends without saying anything of the host."""
        if run.admitted is not None:
            self.health.released(run.admitted)
            run.admitted = None

    def failed(self, run: Run, failure: Failure, waited_s: float) -> None:
        if run.admitted is not None:
            target, run.admitted = run.admitted, None
            self.health.failed(target, failure, waited_s)

    def end(self, failure: Failure) -> None:
        """End every live answer with ``failure`` and begin no other attempt (shutdown)."""
        ending = self.ending = self.ending or failure
        for attempt in list(self.live):
            attempt.abort(ending)

    def end_revoked(self) -> int:
        """End the live answers of keys that are no longer good (C17). Returns how many."""
        snapshot = self.catalog.snapshot()
        found = [attempt for attempt, run in self.live.items() if attempt.aborted is None and revoked(run.call.identity, snapshot)]
        for attempt in found:
            attempt.abort(_KEY_GONE)
        return len(found)

    def _unwanted(self, run: Run) -> GatewayError | None:
        """Why nothing more is begun for this request, if so."""
        if self.ending is not None:
            return run.shutdown_error()
        return _key_gone() if revoked(run.call.identity, self.catalog.snapshot()) else None

    def ours(self, failure: Failure) -> GatewayError | None:
        """What the caller is told when it was not the provider but us who ended the attempt."""
        if failure is _KEY_GONE:
            return _key_gone()
        return Run.shutdown_error() if failure is self.ending else None

    def may_hedge(self, run: Run) -> bool:
        """A second request at once counts like a retry, and needs time to be answered."""
        remaining = run.remaining_s
        in_time = remaining is None or remaining >= _LEAST_FIRST_EVENT_S
        return in_time and self._unwanted(run) is None and RetryBudget(in_flight=self.gate.in_flight, retrying=self.retrying).allows

    def _next_admitted(self, made: Plan) -> Target | None:
        while made.remaining:
            target = made.remaining.pop(0)
            why = self.health.admit(target)
            if why is None:
                return target
            made.skip(target, why)
        return None

    async def _following(self, run: Run) -> Target | None:
        """The next admitted target, with its own budgets held. One that may cost more than what is held is not tried: those that the hold
        was made for were passed by as unhealthy."""
        while (target := self._next_admitted(run.plan)) is not None:
            run.admitted = target
            covered = run.plan.estimate(target) <= run.opening.hold_nusd or not run.held_budgets
            refused = await self.reserve(run, target) if covered else "it may cost more than what is held for this request"
            if refused is None:
                return target
            self.release(run)
            run.plan.skip(target, refused)
        return None

    async def reserve(self, run: Run, target: Target) -> str | None:
        """Hold the target's own budgets; why not, where one of them refuses."""
        extra = tuple(b for b in target.budgets if b not in run.held_budgets)
        if extra:
            try:
                await self.journal.reserve(run.opening, target, run.plan.shared_hold(target, run.opening.hold_nusd, extra))
            except GatewayError as error:
                return error.message
            run.held_budgets += extra
        return None

    def step(self, run: Run, attempt: Attempt, failure: Failure, tries: int) -> Step:
        budget = RetryBudget(in_flight=self.gate.in_flight, retrying=self.retrying)
        remaining = run.remaining_s
        clocks = attempt.clocks
        return retry.after(
            failure,
            attempts=len(run.records),
            same_target_tries=tries,
            others_left=bool(run.plan.eligible(failure, attempt.target)),
            remaining_s=remaining if remaining is not None else clocks.total_ms / 1000,
            content_sent=False,
            content_policy_fallback=run.plan.option("content_policy_fallback"),
            draw=random.random(),  # noqa: S311  # jitter
            budget_allows=budget.allows,
            first_event_s=min(clocks.first_event_ms / 1000, _LEAST_FIRST_EVENT_S),
        )

    async def _wait(self, delay_s: float) -> None:
        if delay_s > 0:
            self.retrying += 1
            try:
                await asyncio.sleep(delay_s)
            finally:
                self.retrying -= 1


def _key_gone() -> GatewayError:
    return KeyRevoked("This client key was revoked or has expired; ask the gateway's operator for a new one.")

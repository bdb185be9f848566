"""From a plan to an attempt whose first content is in hand: the one loop that asks targets. There is no other retry.

Usually one lane runs. While it stays silent for longer than the strategy allows, a second one runs beside it (a hedge), and whichever gives
content first answers.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial

import msgspec

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, GatewayError, UnsupportedParameter
from llm_gateway.policies import retry
from llm_gateway.policies.deadline import Clocks
from llm_gateway.policies.retry import Step

from .admission import Admission
from .attempt import Attempt
from .exchange import Exchange
from .form import Form
from .health import DeploymentHealth
from .heavy import LARGE_BYTES, away
from .issuers import Issuers
from .live import LiveAttempts
from .prepare import prepare
from .tasks import TaskOwner
from .ticket import Ticket
from .transport import Upstream
from .ways import way_to

_K = FailureClass
_TOO_LONG = frozenset({_K.CONTEXT_LENGTH, _K.TOO_LARGE})
# A remaining deadline shorter than this is no time for another attempt (U5).
_LEAST_FIRST_EVENT_S = 1.0
# A hedge is meant for the slowest few requests; more than one of them would multiply what a slow provider costs.
_HEDGE_MAX = 1


class Track:
    """What the races of a process share."""

    def __init__(
        self, *, admission: Admission, health: DeploymentHealth, upstream: Upstream, live: LiveAttempts, owner: TaskOwner, defaults: Clocks
    ) -> None:
        self.admission = admission
        self.health = health
        self.upstream = upstream
        self.live = live
        self.owner = owner
        self.defaults = defaults
        self.issuers = Issuers()

    async def attempt(self, exchange: Exchange, ticket: Ticket, form: Form) -> Attempt:
        """Ready to begin. Raises :class:`UnsupportedParameter`; until it returns the ticket stays its caller's."""
        target = ticket.target
        way = way_to(target)
        issuer = way.issuer
        strangers = self.issuers.strangers(issuer)
        call = exchange.call
        size = len(call.inbound.body) or call.inbound.size
        given = call, target, exchange.ceiling(target), form.streamed, strangers, form.bare, way
        prepared = prepare(*given) if size < LARGE_BYTES else await away(size, prepare, *given)
        remaining_s = exchange.remaining_s if call.deadline_s is not None else None
        clocks = way.clocks(remaining_s, self.defaults, prepared.streamed)
        attempt = Attempt(ticket, prepared, clocks, exchange.keeps_text, self.health.lengths(target), marked=way.marked)
        if prepared.passthrough:
            attempt.tally.on_token = partial(self.issuers.note, issuer=issuer)
        return attempt

    async def content(self, exchange: Exchange, ticket: Ticket) -> Attempt:
        """The attempt whose answer (or its first content) is in hand. Raises the :class:`GatewayError` for the caller when nothing is
        left to ask. However it ends, each ticket is used or belongs to one of the exchange's attempts."""
        race = _Race(self, exchange)
        if exchange.plan.resolution.strategy is not None and exchange.plan.hedge_after_s is not None:
            return await race.run(ticket)
        # The usual way: one target is asked, answers, and nobody else is looked for.
        attempt, failure = await race.attempt(ticket), None
        if attempt is not None:
            exchange.begun(attempt)
            try:
                await attempt.begin(self.upstream)
            except AttemptFailed as error:
                failure = race.not_begun(attempt, error.failure)
            if failure is None and (attempt.tally.content or not race.is_empty(attempt)):
                return attempt
        return await race.run(ticket, (attempt, failure))


class _Lane:
    """An attempt that begins in a task of its own."""

    __slots__ = ("attempt", "task")

    def __init__(self, attempt: Attempt, task: asyncio.Task[Failure | None]) -> None:
        self.attempt = attempt
        self.task = task

    @property
    def outcome(self) -> tuple[bool, Failure | None]:
        """(whether it is known, why it has no content)"""
        return self.task.done(), self.task.result() if self.task.done() else None


class _Race:
    """One request's. ``_tries``: attempts by deployment; ``_last``: what the caller is told when nothing is left to ask."""

    __slots__ = ("_exchange", "_form", "_last", "_track", "_tries")

    def __init__(self, track: Track, exchange: Exchange) -> None:
        self._track = track
        self._exchange = exchange
        self._form = Form()
        self._tries: dict[tuple[int, str], int] = {}
        self._last: GatewayError | None = None

    async def run(self, ticket: Ticket, begun: tuple[Attempt | None, Failure | None] | None = None) -> Attempt:
        """``begun``: what came of the first attempt, where there was one already."""
        exchange, admission = self._exchange, self._track.admission
        following: Ticket | None = ticket
        again = False
        while following is not None:
            failure: Failure | None = None
            if begun is not None:
                (attempt, failure), begun = begun, None
            elif (attempt := await self.attempt(following)) is not None:
                attempt, failure = await self._begun(attempt, again)
            if attempt is None:
                following = await admission.following(exchange)
                continue
            again = False
            if failure is None:
                following = await self._instead_of_empty(attempt)
                if following is None:
                    return attempt
                continue
            if (form := self._form.instead(failure, attempt, len(exchange.records))) is not None:
                self._form, following = form, attempt.ticket
                continue
            step = self._failed(attempt, failure)
            if step.kind == "same":
                following, again = await self._same_again(attempt, step.delay_s), step.delay_s > 0
                continue
            if step.kind == "stop":
                break
            exchange.plan.narrow(step.scope, attempt.target)
            following = await admission.following(exchange)
        raise self._nothing_left()

    def _nothing_left(self) -> GatewayError:
        assert self._last is not None
        return self._exchange.final_error(self._last)

    async def attempt(self, ticket: Ticket) -> Attempt | None:
        """``None``: this target cannot take the request."""
        exchange, target = self._exchange, ticket.target
        try:
            if (error := self._track.live.unwanted(exchange.call.identity)) is not None:
                raise error
            attempt = await self._track.attempt(exchange, ticket, self._form)
        except UnsupportedParameter as unsupported:
            ticket.release()
            exchange.plan.skip(target, f"cannot take {unsupported.param or 'a parameter'}")
            self._last = self._last or unsupported
            return None
        except BaseException:
            ticket.release()
            raise
        self._tries[target.deployment] = self._tries.get(target.deployment, 0) + 1
        return attempt

    async def _begun(self, attempt: Attempt, again: bool) -> tuple[Attempt, Failure | None]:
        """The attempt that is left, and why it has no content, recorded. ``again``: it repeats one, and counts as such until its answer
        begins."""
        live, after_s = self._track.live, self._exchange.plan.hedge_after_s
        live.retrying += again
        try:
            if after_s is not None:
                return await self._hedged(attempt, after_s)
            self._exchange.begun(attempt)
            failure = await self._begin(attempt)
            return attempt, None if failure is None else self.not_begun(attempt, failure)
        finally:
            live.retrying -= again

    async def _begin(self, attempt: Attempt) -> Failure | None:
        if attempt.aborted is not None:
            return attempt.aborted  # ended between its start and its task's
        try:
            await attempt.begin(self._track.upstream)
        except AttemptFailed as error:
            return error.failure
        return None

    def not_begun(self, attempt: Attempt, failure: Failure) -> Failure:
        """Record an attempt without content. Raises where it was us who ended it."""
        if failure.kind is _K.STALE_CONNECTION and self._tries[attempt.target.deployment] > 1:
            # Twice in a row is not a connection that had idled too long.
            failure = msgspec.structs.replace(failure, kind=_K.RESET)
        self._exchange.failed(attempt, failure)
        if (error := self._track.live.ours(failure)) is not None:
            attempt.ticket.release()
            raise error
        return failure

    def _failed(self, attempt: Attempt, failure: Failure) -> Step:
        """Tell health, note what the caller would be told, and decide what comes next."""
        exchange = self._exchange
        if exchange.call.kind == "count_tokens" and failure.kind is _K.MODEL_GONE:
            # A host without the endpoint says so with a 404, which tells nothing of the model.
            attempt.ticket.release()
        else:
            attempt.ticket.failed(failure, attempt.elapsed_ms / 1000)
        if failure.kind in _TOO_LONG:
            self._track.health.refused_length(attempt.target, exchange.plan.prompt_tokens)
        self._last = exchange.noted(failure, attempt.target)
        return self._step(attempt, failure)

    def _step(self, attempt: Attempt, failure: Failure) -> Step:
        exchange = self._exchange
        remaining = exchange.remaining_s
        clocks = attempt.clocks
        return retry.after(
            failure,
            attempts=len(exchange.records),
            same_target_tries=self._tries[attempt.target.deployment],
            others_left=bool(exchange.plan.eligible(failure, attempt.target)),
            remaining_s=remaining if remaining is not None else clocks.total_ms / 1000,
            content_sent=False,
            content_policy_fallback=exchange.plan.option("content_policy_fallback"),
            draw=random.random(),  # noqa: S311  # jitter
            budget_allows=self._track.live.may_repeat,
            first_event_s=min(clocks.first_event_ms / 1000, _LEAST_FIRST_EVENT_S),
        )

    async def _same_again(self, attempt: Attempt, delay_s: float) -> Ticket:
        live = self._track.live
        if delay_s > 0:
            live.retrying += 1
            try:
                await asyncio.sleep(delay_s)
            finally:
                live.retrying -= 1
        ticket = self._track.admission.again(attempt.target)
        if isinstance(ticket, Ticket):
            return ticket
        raise self._nothing_left()

    async def _instead_of_empty(self, attempt: Attempt) -> Ticket | None:
        """The target to ask after an answer without content, where the strategy wants that and there is one (U23)."""
        exchange = self._exchange
        if not self.is_empty(attempt) or exchange.call.inbound.kind != "chat":
            return None
        if len(exchange.records) + 1 >= retry.MAX_ATTEMPTS or not self._in_time:
            return None
        ticket = await self._track.admission.following(exchange)
        if ticket is None:
            return None
        exchange.passed_over(attempt)
        try:
            await attempt.finish()
        except BaseException:
            ticket.release()
            raise
        return ticket

    def is_empty(self, attempt: Attempt) -> bool:
        """Whether another answer is wanted in the place of this one."""
        return not attempt.tally.content and self._exchange.plan.option("retry_empty")

    @property
    def _in_time(self) -> bool:
        remaining = self._exchange.remaining_s
        return remaining is None or remaining >= _LEAST_FIRST_EVENT_S

    # Two lanes.

    async def _hedged(self, attempt: Attempt, after_s: float) -> tuple[Attempt, Failure | None]:
        """As :meth:`_begun`, with a second target asked as well once ``after_s`` seconds passed in silence."""
        exchange, live = self._exchange, self._track.live
        lanes = [self._start(attempt)]
        hedges = 0
        try:
            await asyncio.wait({lanes[0].task}, timeout=after_s)
            if not lanes[0].task.done() and (rival := await self._rival(lanes[0])) is not None:
                lanes.append(rival)
                hedges = 1
                live.retrying += hedges
            while True:
                await asyncio.wait([lane.task for lane in lanes], return_when=asyncio.FIRST_COMPLETED)
                # A failure of the same moment is a failure still, so it is counted before somebody wins.
                for lane in sorted(lanes, key=lambda lane: lane.outcome == (True, None)):
                    done, failure = lane.outcome
                    if not done:
                        continue
                    if len(lanes) == 1 or (failure is None and not self.is_empty(lane.attempt)):
                        for other in lanes:
                            if other is not lane:
                                self._lost(other)
                        if failure is not None:
                            return lane.attempt, self.not_begun(lane.attempt, failure)
                        if hedges:
                            exchange.plan.hedge_won(lane.attempt.target)
                        return lane.attempt, None
                    await self._dropped(lane, failure, lanes)
        except BaseException:
            # Their attempts end with the exchange.
            for lane in lanes:
                lane.task.cancel()
            raise
        finally:
            live.retrying -= hedges

    def _start(self, attempt: Attempt) -> _Lane:
        self._exchange.begun(attempt)
        return _Lane(attempt, self._track.owner.start(self._begin(attempt), f"hedged {self._exchange.call.id}"))

    def _lost(self, lane: _Lane) -> None:
        self._exchange.lost(lane.attempt)
        lane.task.cancel()

    async def _rival(self, first: _Lane) -> _Lane | None:
        """A second target, admitted and held for, and begun; ``None`` where there is none or none may be asked."""
        exchange, admission = self._exchange, self._track.admission
        plan = exchange.plan
        if plan.hedges >= _HEDGE_MAX or len(exchange.records) + 2 > retry.MAX_ATTEMPTS or not self._may_hedge():
            return None
        # Both answers may have to be paid, so both fit into what is held.
        room = exchange.unspent_nusd - plan.estimate(first.attempt.target)
        for target in list(plan.remaining):
            if target.deployment == first.attempt.target.deployment or plan.estimate(target) > room:
                continue
            ticket = admission.again(target)
            if not isinstance(ticket, Ticket):
                continue  # stays among those that remain, and is looked at again when its turn comes
            try:
                refused = await admission.reserve(exchange, target)
                if refused is None:
                    attempt = await self._track.attempt(exchange, ticket, Form())
                if first.task.done():
                    ticket.release()
                    return None
            except UnsupportedParameter as error:
                refused = f"cannot take {error.param or 'a parameter'}"
            except BaseException:
                ticket.release()
                raise
            plan.remaining = [other for other in plan.remaining if other is not target]
            if refused is not None:
                ticket.release()
                plan.skip(target, refused)
                continue
            self._tries[target.deployment] = self._tries.get(target.deployment, 0) + 1
            plan.hedge(first.attempt.target, target, first.attempt.elapsed_ms)
            return self._start(attempt)
        return None

    def _may_hedge(self) -> bool:
        """A second request at once counts like a retry, and needs time to be answered."""
        live = self._track.live
        return self._in_time and live.unwanted(self._exchange.call.identity) is None and live.may_repeat

    async def _dropped(self, lane: _Lane, failure: Failure | None, lanes: list[_Lane]) -> None:
        """One of two is no use: the other one is the request's attempt from here on. Raises where it is us who end the request."""
        exchange, attempt = self._exchange, lane.attempt
        lanes.remove(lane)
        if failure is None:
            exchange.passed_over(attempt)
            await attempt.finish()
            return
        try:
            failure = self.not_begun(attempt, failure)
        except GatewayError:
            for other in lanes:
                self._lost(other)
            raise
        if failure.code == "stream_required":
            attempt.ticket.release()
            return
        attempt.ticket.failed(failure, attempt.elapsed_ms / 1000)
        exchange.noted(failure)
        step = self._step(attempt, failure)
        if step.kind == "stop":
            # Nobody else is asked, nor the other one again; what it is about to say still counts.
            exchange.plan.remaining = []
            self._tries[lanes[0].attempt.target.deployment] += 1
        elif step.kind == "next":
            exchange.plan.narrow(step.scope, attempt.target)

"""The one way through: enter, race, settle. Every dialect, streaming or not, comes along here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from llm_gateway.core.errors import (
    AttemptFailed,
    BudgetExhausted,
    BudgetInFlight,
    Failure,
    GatewayError,
    InternalError,
    NoHealthyDeployment,
    RequestExceedsBudget,
)
from llm_gateway.core.events import collect
from llm_gateway.policies.deadline import DEFAULT_CLOCKS, Clocks
from llm_gateway.policies.hold import estimate_tokens, output_limit
from llm_gateway.providers import services

from .admission import Admission
from .calls import Call, StreamAnswer, WholeAnswer
from .exchange import Exchange, Surroundings
from .fresh import fresh_draw
from .gate import KeyGate
from .health import DeploymentHealth
from .live import LiveAttempts
from .plan import plan
from .ports import Catalog, Journal, Observer, Rejection
from .race import Track
from .relay import Relay
from .tasks import TaskOwner
from .ticket import Ticket
from .transport import Upstream

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
        self.observers = observers
        self.attempts = LiveAttempts(catalog, gate)
        self._admission = Admission(health, journal)
        self.track = Track(admission=self._admission, health=health, upstream=upstream, live=self.attempts, owner=owner, defaults=defaults)
        self.surroundings = Surroundings(journal, health, self.attempts, gate, owner, observers)

    async def whole(self, call: Call) -> WholeAnswer:
        """The complete answer, settled. Raises :class:`GatewayError`, logged already."""
        exchange, ticket = await self._enter(call)
        try:
            attempt = await self.track.content(exchange, ticket)
            frames = attempt.held
            if attempt.response is None and attempt.body is None:
                while not attempt.tally.done:
                    if attempt.tally.failure is not None:
                        raise AttemptFailed(attempt.clean(attempt.tally.failure))
                    frames += await attempt.more()
            response = attempt.response
            if response is None and attempt.body is None:
                response = collect(event for frame in frames for event in frame.events)
            summary = await exchange.complete(attempt)
            if attempt.body is None:
                await attempt.finish()
            return WholeAnswer(summary=summary, response=response, body=attempt.body)
        except AttemptFailed as error:
            # Content had been received, so this is the end: no second provider after the first has worked (reliability.md B2).
            raise await exchange.break_off(error.failure, delivered=False) from None
        except GatewayError as error:
            await exchange.fail(error)
            raise
        except asyncio.CancelledError:
            exchange.cancel()
            raise
        except Exception as error:
            raise await _broke(exchange) from error
        finally:
            exchange.leave()

    async def stream(self, call: Call) -> StreamAnswer:
        """Returns with the first content in hand; whoever gets it iterates it to its end or closes it. Raises :class:`GatewayError` before,
        logged already."""
        exchange, ticket = await self._enter(call)
        try:
            attempt = await self.track.content(exchange, ticket)
            model = attempt.tally.model or attempt.target.upstream_id
            made = exchange.plan
            answer = StreamAnswer(call.id, attempt.target, model, attempt.passthrough, len(exchange.records) + 1, made.strategy)
            answer.stands_in_for = made.resolution.stands_in_for
            answer.frames = Relay(exchange, attempt, answer)
            return answer
        except BaseException as error:
            try:
                if isinstance(error, GatewayError):
                    await exchange.fail(error)
                elif isinstance(error, asyncio.CancelledError):
                    exchange.cancel()
                elif isinstance(error, Exception):
                    raise await _broke(exchange) from error
                raise
            finally:
                exchange.leave()

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
        self.attempts.end(failure)

    def end_revoked(self) -> int:
        """End the live answers of client keys that the newest catalogue no longer admits, each as its dialect says, settled with what it
        has. Returns how many."""
        return self.attempts.end_revoked()

    @property
    def live(self) -> int:
        """How many attempts are awaited or on their way."""
        return len(self.attempts)

    async def _finished(self, rejection: Rejection) -> None:
        await self.journal.reject(rejection)
        for observer in self.observers:
            observer.rejected(rejection)

    async def _enter(self, call: Call) -> tuple[Exchange, Ticket]:
        """Checks, the plan, and the hold: after this the log row is open and the first target admitted."""
        try:
            reserved = self.gate.enter(call.identity, 0 if call.identity.tokens_per_minute is None else _demand(call))
        except GatewayError as error:
            await self.reject(call, error)
            raise
        ticket: Ticket | None = None
        try:
            made = plan(call, self.catalog.snapshot(), self.health, datetime.now(UTC), fresh_draw())
            ticket = self._admission.first(made)
            exchange = Exchange(self.surroundings, call, made, ticket.target, reserved)
            try:
                await self.journal.open(exchange.opening)
            except (RequestExceedsBudget, BudgetExhausted, BudgetInFlight) as error:
                ticket = self._free_instead(exchange, ticket, error)
                exchange = Exchange(self.surroundings, call, made, ticket.target, reserved)
                await self.journal.open(exchange.opening)
            return exchange, ticket
        except BaseException as error:
            if ticket is not None:
                ticket.release()
            self.gate.leave(call.identity, reserved)
            if isinstance(error, GatewayError):
                await self.reject(call, error, state="failed" if isinstance(error, NoHealthyDeployment) else "rejected")
            raise

    def _free_instead(self, exchange: Exchange, ticket: Ticket, error: GatewayError) -> Ticket:
        """A budget has no room for what this request may cost: the same request at the targets that cost nothing. Raises ``error`` where
        there is none, or none that may be asked."""
        ticket.release()
        if not exchange.plan.only_free(ticket.target, error.message):
            raise error
        try:
            return self._admission.first(exchange.plan)
        except NoHealthyDeployment:
            raise error from None


async def _broke(exchange: Exchange) -> InternalError:
    log.exception("the pipeline failed", extra={"request_id": str(exchange.call.id)})
    error = InternalError(_FAILED)
    await exchange.fail(error)
    return error


def _demand(call: Call) -> int:
    """The tokens a request may come to, as far as they are known before it is routed."""
    inbound = call.inbound
    if inbound.kind == "count_tokens":
        return 0
    answer = 0 if inbound.kind == "embeddings" else output_limit(inbound.max_tokens, None, call.identity.max_tokens) * max(inbound.n, 1)
    return estimate_tokens(inbound.size) + answer

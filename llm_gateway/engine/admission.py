"""Which target is asked next: admitted by health, with room in its own budgets."""

from __future__ import annotations

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import GatewayError, NoHealthyDeployment

from .exchange import Exchange
from .health import DeploymentHealth
from .plan import Plan, not_served
from .ports import Journal
from .ticket import Ticket, admit


class Admission:
    def __init__(self, health: DeploymentHealth, journal: Journal) -> None:
        self._health = health
        self._journal = journal

    def again(self, target: Target) -> Ticket | str:
        """A ticket for this very target, or why there is none."""
        return admit(target, self._health)

    def first(self, plan: Plan) -> Ticket:
        """Of the first target that may be asked. Raises :class:`NoHealthyDeployment`, or :class:`NotServed` where waiting is no use."""
        ticket = self._next(plan)
        if ticket is not None:
            return ticket
        health = self._health
        for candidate in plan.order:
            if health.panic(candidate):
                return Ticket(candidate, health)
        if all(health.needs_operator(target) for target in plan.order):
            raise not_served(plan.skipped)
        waits = [health.wait_s(target) for target in plan.order if not health.needs_operator(target)]
        raise NoHealthyDeployment(
            "Every model that could answer is resting after failures; try again shortly.",
            retry_after_s=min(max(min(waits, default=1.0), 1.0), 60.0),
            details={"skipped": [f"{who}: {why}" for who, why in plan.skipped][:20]},
        )

    async def following(self, exchange: Exchange) -> Ticket | None:
        """Of the next target, with its own budgets held. One that may cost more than what is held is not asked: those that the hold was
        made for were passed by as unhealthy."""
        plan = exchange.plan
        while (ticket := self._next(plan)) is not None:
            target = ticket.target
            try:
                covered = plan.estimate(target) <= exchange.opening.hold_nusd or not exchange.held_budgets
                refused = await self.reserve(exchange, target) if covered else "it may cost more than what is held for this request"
            except BaseException:
                ticket.release()
                raise
            if refused is None:
                return ticket
            ticket.release()
            plan.skip(target, refused)
        return None

    async def reserve(self, exchange: Exchange, target: Target) -> str | None:
        """Hold the target's own budgets; why not, where one of them refuses."""
        extra = tuple(budget for budget in target.budgets if budget not in exchange.held_budgets)
        if extra:
            try:
                await self._journal.reserve(exchange.opening, target, exchange.plan.shared_hold(target, exchange.opening.hold_nusd, extra))
            except GatewayError as error:
                return error.message
            exchange.held_budgets += extra
        return None

    def _next(self, plan: Plan) -> Ticket | None:
        while plan.remaining:
            target = plan.remaining.pop(0)
            ticket = admit(target, self._health)
            if isinstance(ticket, Ticket):
                return ticket
            plan.skip(target, ticket)
        return None

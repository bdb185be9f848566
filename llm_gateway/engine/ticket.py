"""The admission of one target: leave to ask it, given back to health exactly once."""

from __future__ import annotations

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import Failure

from .health import DeploymentHealth


class TicketUsed(RuntimeError):
    """A ticket was given back twice: one attempt would count as two."""


class Ticket:
    """Ends in exactly one of :meth:`succeeded`, :meth:`failed` and :meth:`release`. The first two raise :class:`TicketUsed` on a ticket
    that has ended; :meth:`release` leaves it as it is, so that whoever cleans up need not know what came before."""

    __slots__ = ("_health", "target", "used")

    def __init__(self, target: Target, health: DeploymentHealth) -> None:
        self.target = target
        self.used = False
        self._health = health

    def succeeded(self, latency_ms: float, ttft_ms: float | None, cost_nusd: int | None) -> None:
        self._use()
        self._health.succeeded(self.target, latency_ms, ttft_ms, cost_nusd)

    def failed(self, failure: Failure, waited_s: float) -> None:
        """``waited_s``: how long the attempt took to fail."""
        self._use()
        self._health.failed(self.target, failure, waited_s)

    def release(self) -> None:
        """The attempt ended without saying anything of the host."""
        if not self.used:
            self.used = True
            self._health.released(self.target)

    def _use(self) -> None:
        if self.used:
            raise TicketUsed(f"the admission of {self.target.model.name} was given back already")
        self.used = True


def admit(target: Target, health: DeploymentHealth) -> Ticket | str:
    """A ticket, or why there is none in a few words."""
    why = health.admit(target)
    return Ticket(target, health) if why is None else why

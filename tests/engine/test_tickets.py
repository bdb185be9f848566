"""A ticket is given back once: twice is an error, never is seen by whoever balances."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.engine.plan import plan
from llm_gateway.engine.ticket import Ticket, TicketUsed, admit

from .fakes import CountingHealth, Rig

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GONE = Failure(kind=FailureClass.RESET)
ENDS: dict[str, Callable[[Ticket], None]] = {
    "succeeded": lambda ticket: ticket.succeeded(1.0, None, 5),
    "failed": lambda ticket: ticket.failed(GONE, 0.1),
    "released": lambda ticket: ticket.release(),
}


def issued() -> tuple[Ticket, CountingHealth]:
    rig = Rig()
    health = rig.health
    call = rig.call("a")
    target = plan(call, rig.catalog.snapshot(), health, NOW, 0.0).order[0]
    ticket = admit(target, health)
    assert isinstance(ticket, Ticket)
    return ticket, health


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ["succeeded", "failed"])
def test_a_ticket_is_not_used_twice(first: str, second: str) -> None:
    ticket, health = issued()
    ENDS[first](ticket)
    with pytest.raises(TicketUsed, match="given back already"):
        ENDS[second](ticket)
    assert health.out == []


@pytest.mark.parametrize("first", ENDS)
def test_to_release_a_used_ticket_changes_nothing(first: str) -> None:
    ticket, health = issued()
    ENDS[first](ticket)
    ticket.release()
    assert (health.out, health.faults) == ([], [])


def test_a_ticket_that_is_kept_stays_out() -> None:
    ticket, health = issued()
    assert [one.deployment for one in health.out] == [ticket.target.deployment]

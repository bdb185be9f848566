"""One request at one simulated provider, as handlers and wires see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llm_gateway.simulator.answering import bend
from llm_gateway.simulator.catalogue import Model
from llm_gateway.simulator.content import answer
from llm_gateway.simulator.faults import NO_FAULT, Plan
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.neutral import Answer, Ask
from llm_gateway.simulator.reply import Problem, Reply
from llm_gateway.simulator.state import State


@dataclass(slots=True)
class Call:
    """One request at one provider. ``path`` is what follows the provider's prefix."""

    provider: str
    request: Request
    path: str
    state: State
    key: str = ""
    plan: Plan = NO_FAULT
    body: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    stream: bool = False
    found: Model | None = None

    def answer(self, ask: Ask) -> Answer:
        """The simulated model's answer, with the content faults of this call worked in. Raises Problem (context)."""
        used = ask.input_tokens()
        if self.found is not None and used > self.found.context:
            raise Problem("context", used=used, limit=self.found.context)
        step = self.state.next_step(ask)
        made = answer(ask, self.state.seed, step, lambda one: self.state.cached(self.provider, one))
        return bend(made, self.plan) if self.plan else made


Handler = Callable[[Call], Reply]

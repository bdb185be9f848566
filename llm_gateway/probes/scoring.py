"""Scoring on demand: one child, and callers who take turns at it."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from llm_gateway.core.errors import Overloaded
from llm_gateway.engine.heavy import Turns
from llm_gateway.scorers import Facts, Probes, Quality, judge, scorers

from .bench import Bench, BenchFailed
from .tasks import Task

log = logging.getLogger("cogo.scores")

MOST_WAITING = 32
MOST_OF_ONE = 8


class Scoring:
    """The client keys that wait take turns, so whoever sends many waits for its own."""

    def __init__(self) -> None:
        self._bench = Bench(most=2)
        self._turns = Turns("scores")
        self._waiting: dict[int, int] = {}

    async def score(self, whose: int, text: str, facts: Facts, using: tuple[str, ...]) -> Quality:
        """Raises :class:`Overloaded` where too many wait. An answer that ends its scoring process is known by its structure alone."""
        mine = self._waiting.get(whose, 0)
        if mine >= MOST_OF_ONE or sum(self._waiting.values()) >= MOST_WAITING:
            raise Overloaded("Too much code waits to be scored; try again shortly.", retry_after_s=2)
        self._waiting[whose] = mine + 1
        try:
            return await asyncio.wrap_future(self._turns.submit(whose, partial(self._score, text, facts, using)))
        finally:
            left = self._waiting.pop(whose) - 1
            if left:
                self._waiting[whose] = left

    def close(self) -> None:
        """Blocking: ends the child. A task that runs comes to nothing."""
        self._bench.close()

    def _score(self, text: str, facts: Facts, using: tuple[str, ...]) -> Quality:
        try:
            return self._bench.score(Task(text=text, facts=facts, using=using))
        except BenchFailed as error:
            log.warning("code could not be looked at", extra={"reason": str(error)})
            return judge(text, facts, Probes(), [scorers.get("structure")])

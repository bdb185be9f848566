"""Rounds: every contender meets every load in turn, so that whatever else this machine does meets all of them alike.

A round with an answer that is not a whole 200 is discarded and counted: refusing is cheaper than answering."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from .callers import closely, one_by_one, share, streams
from .contenders import Contender
from .processes import cores, cpu_s, memory_mb, pin

CALLERS = (1, 16, 64)
# Names of models, which say how many chunks a stream has and how far apart they are in ms.
WHOLE, SHORT, HUNDRED, THOUSAND = "bench-0-0", "bench-3-1", "bench-300-20", "bench-48-250"
MODELS = (WHOLE, SHORT, HUNDRED, THOUSAND)
# Load by name, with the figures it gives.
Figures = dict[str, float]
Load = Callable[[Contender], tuple[Figures, int]]


def calls(callers: int, seconds: float) -> Load:
    """``per_core``: answers per second of processor time. Times in ms."""

    def run(who: Contender) -> tuple[Figures, int]:
        before = cpu_s(who.pid)
        load = closely(who.port, who.request(WHOLE), callers, seconds)
        used = cpu_s(who.pid) - before
        done = len(load.took)
        times = {"p50_ms": share(load.took, 0.5) * 1000, "p99_ms": share(load.took, 0.99) * 1000}
        return {"per_core": done / used, "cpu_us": used / max(done, 1) * 1e6, **times}, load.bad

    return run


def first_chunk(number: int = 40) -> Load:
    """Streams one after the other."""

    def run(who: Contender) -> tuple[Figures, int]:
        load = one_by_one(who.port, who.request(SHORT, stream=True), number)
        return {"p50_ms": share(load.first, 0.5) * 1000, "p99_ms": share(load.first, 0.99) * 1000}, load.bad

    return run


def many_streams(number: int, model: str, *, spread_s: float, window_s: float) -> Load:
    """Counts from when all are open: what opening costs, ``calls`` shows. The memory is that of the last look."""

    def run(who: Contender) -> tuple[Figures, int]:
        idle_mb = memory_mb(who.pid)
        data = who.request(model, stream=True)
        window = streams(
            who.port, data, number, spread_s=spread_s, window_s=window_s, look=lambda: (cpu_s(who.pid), memory_mb(who.pid))
        )  # fmt: skip
        used = window.closed[0] - window.opened[0]
        return {
            "first_p50_ms": share(window.load.first, 0.5) * 1000,
            "first_p99_ms": share(window.load.first, 0.99) * 1000,
            "chunks_per_core": window.events / used if used else math.nan,
            "came_per_s": window.events / window_s,
            "kb_per_stream": (window.closed[1] - idle_mb) * 1024 / number,
        }, window.load.bad

    return run


def idle(who: Contender) -> tuple[Figures, int]:
    return {"mb": memory_mb(who.pid)}, 0


def loads(callers: Sequence[int] = CALLERS, seconds: float = 2.0, most_streams: int = 1000) -> dict[str, Load]:
    found: dict[str, Load] = {"memory, idle": idle}
    found |= {f"{number} caller{'s' * (number > 1)}": calls(number, seconds) for number in callers}
    found["1 stream"] = first_chunk()
    if most_streams >= 100:
        found["100 streams"] = many_streams(100, HUNDRED, spread_s=0.0, window_s=2.0)
    if most_streams >= 1000:
        # Opened over some seconds: a gateway refuses a thousand at once, and rightly so.
        found["1,000 streams"] = many_streams(1000, THOUSAND, spread_s=5.0, window_s=3.0)
    return found


@dataclass
class Board:
    """Figures by (contender, load), one entry a round, empty where it was discarded; how many were."""

    rounds: dict[tuple[str, str], list[Figures]] = field(default_factory=lambda: defaultdict(list))
    discarded: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def note(self, who: str, load: str, figures: Figures, bad: int) -> None:
        self.rounds[who, load].append({} if bad else figures)
        self.discarded[who, load] += bool(bad)

    def of(self, who: str, load: str, figure: str) -> float:
        """The median of the rounds, NaN where none counted. Of the memory of streams it is the most: later rounds use again what the
        first one got from the system."""
        found = [one[figure] for one in self.rounds.get((who, load), ()) if figure in one]
        if not found:
            return math.nan
        return max(found) if figure == "kb_per_stream" else median(found)

    def ratios(self, who: str, other: str, load: str, figure: str) -> list[float]:
        """Of each round in which both counted: within one, both met the same neighbours."""
        pairs = zip(self.rounds[who, load], self.rounds[other, load], strict=True)
        return [one[figure] / two[figure] for one, two in pairs if figure in one and two.get(figure)]


def run(
    contenders: Sequence[Contender], what: dict[str, Load], rounds: int, say: Callable[[str], None], board: Board, upstream: Contender
) -> None:
    """Whoever is measured has a core of its own where there are two; ``upstream`` shares the callers'."""
    theirs, ours = cores()
    pin(upstream.pid, ours)
    pin(os.getpid(), ours)
    try:
        for one in contenders:
            if one is not upstream:
                pin(one.pid, theirs)
            closely(one.port, one.request(WHOLE), 16, 1.5)
        for number in range(rounds):
            for name, load in what.items():
                # Turned from round to round: who is second meets warm caches of the first.
                turn = number % len(contenders)
                for who in (*contenders[turn:], *contenders[:turn]):
                    figures, bad = load(who)
                    board.note(who.name, name, figures, bad)
            say(f"round {number + 1} of {rounds}")
    finally:
        pin(os.getpid(), theirs | ours)

"""What the decision log costs the write path: ``python -m tests.decisions.cost [PAIRS]`` opens and settles made-up requests through the
journal's own commit, in turns with and without a logged decision, on a database of its own (``DATABASE_URL`` chooses which)."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from llm_gateway.strategies import DRAWS, RequestFacts, digested, write_choice

# Requests of one commit: what a busy process gathers.
TOGETHER = 10


# What every routed request writes for the console, logged decision or not.
_LABELS = ("anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol", "gemini/gemini-3.8-flash", "fireworks/accounts/fireworks/models/kimi-k3")
DECISION = {
    "asked": "auto", "strategy": "enterprise", "order": list(_LABELS), "note": "Ordered by provider priority, then model position.",
    "scores": {label: {"priority": 10, "position": 100} for label in _LABELS}, "policy": 12, "draw": 0.123456789,
}  # fmt: skip


class Cost(NamedTuple):
    """``share``: by how much the write path's CPU time grows; the median over pairs. ``us``: of a request without;
    ``bytes``: of a decision, the mean."""

    share: float
    us: float
    bytes: float


def measure(folder: Path, pairs: int, together: int = TOGETHER) -> Cost:
    """CPU time of the thread that writes, the making of the text included. What the digests cost is not in it: routing needs them."""
    from llm_gateway.stores.batch import commit
    from llm_gateway.stores.known import Op
    from llm_gateway.stores.rows import Writer
    from tests.stores.bench import Bench

    bench = Bench(folder)
    budgets = (bench.budget(f"a{together}", 10**15), bench.budget(f"b{together}", 10**15))
    writer = Writer()
    facts = RequestFacts(
        now=datetime.now(UTC), prompt_tokens=1234, max_tokens=4096, needs=frozenset({"tools"}), task_type="code", language="python",
        sticky=digested(b"k", "user"), user=digested(b"k", "user"), affinity=digested(b"k", "prompt"), client="abc123abc123", stream=True,
    )  # fmt: skip
    sizes: list[int] = []

    def text(number: int) -> str:
        made = write_choice(
            facts, draw=(number * 2654435761 % DRAWS) / DRAWS, policy=12, catalogue=3456, statistics="s1a2b3c4d5e6",
            candidates="c1a2b3c4d5e6", first=1, estimates=[1_234_000, 2_345_000, 345_000, 987_000],
            p=[0.05, 0.85, 0.05, 0.05], canary=False,
        )  # fmt: skip
        sizes.append(len(made))
        return made

    def turn(number: int, logged: bool) -> float:
        plain = [bench.opening(100, budgets) for _ in range(together)]
        began = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        openings = [_with(one, text(number), 12) if logged else _with(one, None, 0) for one in plain]
        commit([Op("open", one) for one in openings], writer, "w1", 30.0, datetime.now(UTC))
        middle = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        ended = [_plain(bench.settlement(one, 60, decision=DECISION)) for one in openings]
        again = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        commit([Op("settle", one) for one in ended], writer, "w1", 30.0, datetime.now(UTC))
        return middle - began + time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - again

    for number in range(20):
        turn(number, logged=bool(number % 2))
    gc.collect()
    gc.disable()
    try:
        found = []
        for number in range(pairs):
            # Which comes first changes, so that what the first leaves warm favours neither.
            first = bool(number % 2)
            one, other = turn(number, first), turn(number, not first)
            found.append((one, other) if first else (other, one))
    finally:
        gc.enable()
    bench.loop.close()
    without = median(plain for _, plain in found)
    return Cost(median(logged / plain for logged, plain in found) - 1, without / together * 1e6, sum(sizes) / len(sizes))


def _with(opening: object, choice: str | None, policy: int) -> object:
    import msgspec

    return msgspec.structs.replace(opening, choice=choice, policy=policy)


def _plain(settlement: object) -> object:
    from llm_gateway.stores.plain import plain

    return plain(settlement)  # type: ignore[arg-type]


def main(pairs: int) -> None:
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    made = setup_databases(verbosity=0, interactive=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for together in (1, TOGETHER):
                cost = measure(Path(folder), pairs, together)
                sys.stdout.write(
                    f"{connection.vendor}, {together} a commit: {cost.share:+.1%} of {cost.us:.0f} us CPU a request, "
                    f"{cost.bytes:.0f} bytes a decision, {pairs} pairs\n"
                )
    finally:
        teardown_databases(made, verbosity=0)


if __name__ == "__main__":
    import os

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)

"""What scoring costs where a caller waits: taking note of an answer, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from llm_gateway.scorers import facts_of, judge, scorers
from llm_gateway.scorers._base import Probes
from llm_gateway.stores import scores
from llm_gateway.stores.scores import ScoreBook, _structure
from tests.engine.fakes import WHOLE, Rig, Script
from tests.quality.seeds import BASE, answer

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def cpu_us(work: Callable[[], Any], times: int = 2000) -> float:
    """Processor time of one, the best of five."""
    best = 1e9
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / times)
    return best * 1e6


async def nothing(*args: Any) -> int:
    return 0


async def settled(stream: bool) -> Any:
    rig = Rig(Script() if stream else Script(body=WHOLE))
    await (rig.stream() if stream else rig.whole())
    (settlement,) = rig.journal.settled
    return settlement


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_said_is_noted_for_less_than_its_score_costs(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    settlement = await settled(stream)
    monkeypatch.setattr(scores, "MOST_WAITING", 10**9)
    monkeypatch.setattr(scores, "MOST_BYTES", 10**12)
    monkeypatch.setattr(scores, "MOST_A_SECOND", 10**9)
    book = ScoreBook(nothing)
    book.finished(settlement)
    text, facts, quality = _structure(book._waiting[0].answered)
    assert (text, facts.finish, quality.score) == ("one two three", "stop", 100)
    noted, scored = cpu_us(lambda: book.finished(settlement)), cpu_us(lambda: _structure(book._waiting[0].answered))
    assert noted < scored, (noted, scored)


def test_the_structure_of_a_large_answer_costs_in_proportion_to_its_size() -> None:
    structure = [scorers.get("structure")]

    def look(text: str) -> Callable[[], Any]:
        return lambda: judge(text, facts_of(text, asked="python", finish="stop"), Probes(), structure)

    small, large = look(answer(BASE * 10)), look(answer(BASE * 100))
    assert cpu_us(large, 20) < 20 * cpu_us(small, 200)
    hostile = ["`" * 60_000, "```\n" * 15_000, "# the rest of " * 5_000, "\n#" * 30_000, "a" * 60_000, "ab " * 20_000]
    assert max(cpu_us(look(text), 1) for text in hostile) < 400 * cpu_us(small, 200)


async def test_a_process_in_a_rush_looks_at_fifty_answers_a_second_and_counts_the_others() -> None:
    settlement = await settled(stream=False)
    passed: list[int] = []
    book = ScoreBook(nothing, lambda by, number: passed.append(number) if by == "rush" else None)
    for number in range(4000):
        book.finished(msgspec.structs.replace(settlement, at=settlement.at + number / 1000))
    kept = len(book._waiting)
    assert 4 * scores.MOST_A_SECOND <= kept <= 5 * scores.MOST_A_SECOND + 5
    assert 0 <= 4000 - kept - sum(passed) < 1000 / scores.MOST_A_SECOND + 1

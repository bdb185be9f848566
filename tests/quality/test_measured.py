"""The figures that docs/quality.md publishes, held to what was promised (weekly), and the page's table, which has to be there."""

from __future__ import annotations

import random

import pytest

from llm_gateway.probes import present, sandbox
from tests.quality.measured import BEGIN, END, PAGE, measure, spearman


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.skipif("ruff" not in present(), reason="ruff is not installed")
def test_the_scores_see_what_the_page_says_they_see() -> None:
    figures = measure(random.Random(2))
    assert figures.median >= 95
    assert figures.false_alarms <= 0.05
    assert {name: seen for name, seen in figures.seeds.items() if seen < 0.95} == {}
    assert len(figures.seeds) == 10
    assert figures.cut_by_score == 1
    assert figures.mutants_seen < 0.5, "a static check that sees this is a reason to write the page anew"
    assert figures.ms_per_5kb <= 25
    if sandbox.works():
        assert figures.right_passed == 1
        assert figures.mutants_failed is not None
        assert figures.mutants_failed > 0.7


def test_the_page_has_the_table_with_what_is_not_seen() -> None:
    made = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert made.count("seeded defect seen") == 10
    assert "one operator changed: seen by all static checks" in made


def test_ranks_are_correlated_as_the_textbook_says() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == 1
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == -1
    assert spearman([1, 1, 1], [1, 2, 3]) is None

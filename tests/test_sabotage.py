"""The wrong lines themselves: each still finds its place, so that ``make sabotage`` tries what it says."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.sabotage import ROOT, SABOTAGES, Sabotage


@pytest.mark.parametrize("one", SABOTAGES, ids=lambda one: one.name)
def test_the_right_line_stands_exactly_once_and_the_tests_exist(one: Sabotage) -> None:
    assert (ROOT / one.path).read_text(encoding="utf-8").count(one.right) == 1
    assert one.right != one.wrong
    file, _, name = one.tests[0].partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not name or f"def {name}(" in text, name
    assert name or len(one.tests) in (1, 3), "a file, or -k and a choice of its tests"
    if len(one.tests) == 3:
        names = re.findall(r"def (test_\w+)", text)
        words = one.tests[2].replace("(", " ").replace(")", " ").split()
        choice = [[word for word in part.split() if word != "and"] for part in " ".join(words).split(" or ")]
        marks = set(re.findall(r"ids=\[([^\]]*)\]", text))
        assert any(all(word in name or any(word in mark for mark in marks) for word in part) for part in choice for name in names), (
            one.tests
        )


def test_every_wrong_line_has_a_name_of_its_own() -> None:
    assert not [name for name, times in Counter(one.name for one in SABOTAGES).items() if times > 1]

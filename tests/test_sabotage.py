"""The wrong lines themselves: each still finds its place, so that ``make sabotage`` tries what it says."""

from __future__ import annotations

import re
from collections import Counter
from itertools import takewhile

import pytest

from tests.sabotage import ROOT, SABOTAGES, Sabotage


@pytest.mark.parametrize("one", SABOTAGES, ids=lambda one: one.name)
def test_the_right_line_stands_exactly_once_and_the_tests_exist(one: Sabotage) -> None:
    assert (ROOT / one.path).read_text(encoding="utf-8").count(one.right) == 1
    assert one.right != one.wrong
    files = list(takewhile(lambda word: word != "-k", one.tests))
    names_of_one = [file.partition("::")[::2] for file in files]
    texts = [(ROOT / file).read_text(encoding="utf-8") for file, _ in names_of_one]
    for (_, name), text in zip(names_of_one, texts, strict=True):
        assert not name or f"def {name}(" in text, name
    assert len(one.tests) > len(files) or all(name or len(files) == 1 for _, name in names_of_one), (
        "files, or -k and a choice of their tests"
    )
    if len(one.tests) > len(files):
        text = "\n".join(texts)
        names = re.findall(r"def (test_\w+)", text)
        words = one.tests[len(files) + 1].replace("(", " ").replace(")", " ").split()
        choice = [[word for word in part.split() if word != "and"] for part in " ".join(words).split(" or ")]
        marks = set(re.findall(r"ids=\[([^\]]*)\]", text))
        assert any(all(word in name or any(word in mark for mark in marks) for word in part) for part in choice for name in names), (
            one.tests
        )


def test_every_wrong_line_has_a_name_of_its_own() -> None:
    assert not [name for name, times in Counter(one.name for one in SABOTAGES).items() if times > 1]

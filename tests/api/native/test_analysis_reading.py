"""What a model says is an analysis when it can be read as one, and never more than the model said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.api.native.analysis_reading import read
from llm_gateway.api.native.shapes import Analysis, Finding
from tests.support.clock import Stopwatch

GOOD = {
    "summary": "Adds wrongly.",
    "score": 40,
    "findings": [{"severity": "high", "category": "bug", "line": 2, "message": "subtracts", "suggestion": "add"}],
}
WHOLE = Analysis(
    summary="Adds wrongly.", score=40, findings=[Finding(severity="high", category="bug", line=2, message="subtracts", suggestion="add")]
)
TEXT = json.dumps(GOOD)

WRAPPED = [
    TEXT,
    f"  {TEXT}\n",
    f"```json\n{TEXT}\n```",
    f"Sure! Here is the analysis:\n{TEXT}\nI hope this helps {{really}}.",
    f'<think>maybe {{"score": 1}}</think>{TEXT}',
    f"The function `f() {{ return 1; }}` is odd.\n{TEXT}",
    json.dumps(GOOD, indent=2).replace('"add"\n', '"add",\n'),
    json.dumps({**GOOD, "score": "40/100"}),
    json.dumps({**GOOD, "score": 40.2, "extra": True}),
    json.dumps({"Summary": GOOD["summary"], "Score": "40%", "Issues": GOOD["findings"]}),
    json.dumps({**GOOD, "findings": [{"severity": "Major", "category": "bug", "line": "2-4", "description": "subtracts", "fix": "add"}]}),
]


@pytest.mark.parametrize("text", WRAPPED)
def test_a_whole_analysis_is_found_in_what_surrounds_it(text: str) -> None:
    reading = read(text, "quality")
    assert reading.fault == ""
    assert reading.analysis == WHOLE


def test_a_truncated_list_keeps_the_findings_that_are_complete() -> None:
    more = {**GOOD, "findings": [GOOD["findings"][0], {"severity": "low", "category": "style", "line": 9, "message": "long name"}]}  # type: ignore[index]
    text = json.dumps(more)
    reading = read(text[: text.index("long name") + 4], "quality")
    assert reading.fault == "it was cut off."
    assert reading.analysis == Analysis(summary="Adds wrongly.", score=40, findings=WHOLE.findings, partial=True)


def test_a_bare_list_of_findings_is_better_than_nothing() -> None:
    reading = read(json.dumps(GOOD["findings"]), "quality")
    assert reading.fault
    assert reading.analysis == Analysis(summary="", score=None, findings=WHOLE.findings, partial=True)


def test_nothing_is_invented() -> None:
    reading = read(
        '{"summary": "ok", "score": 900, "findings": [{"severity": "awful", "line": -3, "message": "m"}, {"line": 4}, 7]}', "security"
    )
    assert reading.analysis == Analysis(
        summary="ok", score=None, findings=[Finding(severity="info", category="security", line=None, message="m")], partial=True
    )
    assert "`score`" in reading.fault


@pytest.mark.parametrize(
    "text", ["", "I cannot do that.", "{}", "[]", "[1, 2]", '{"a": {"b": 1}}', "{" * 5000, '{"findings": "none"}', "null", '"x"']
)
def test_what_holds_no_analysis_is_none(text: str) -> None:
    reading = read(text, "quality")
    assert reading.analysis is None
    assert reading.fault


def test_the_prompts_own_example_is_nothing_said() -> None:
    from llm_gateway.api.native.analysis_prompt import SHAPE

    assert read(SHAPE, "quality").analysis is None
    echoed = json.dumps({"summary": "...", "score": 7, "findings": [{"severity": "low", "category": "x", "line": 1, "message": "..."}]})
    assert read(echoed, "quality").analysis is None


def test_no_finding_is_on_a_line_that_does_not_exist() -> None:
    analysis = read(TEXT, "quality", lines=1).analysis
    assert analysis is not None
    assert analysis.findings[0].line is None
    assert read(TEXT, "quality", lines=2).analysis == WHOLE


def test_an_empty_list_of_findings_is_an_answer() -> None:
    assert read('{"summary": "Fine.", "score": 100, "findings": []}', "quality").fault == ""


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    read(text, "quality")


@given(st.integers(min_value=1, max_value=len(TEXT)))
def test_a_prefix_never_reads_as_more_than_the_whole(cut: int) -> None:
    analysis = read(TEXT[:cut], "quality").analysis
    if analysis is not None:
        assert analysis.summary in ("", "Adds wrongly.")
        assert analysis.score in (None, 40, 4)
        assert len(analysis.findings) <= 1


@pytest.mark.parametrize(
    "text", ['{"a":' * 20_000, '[{"' * 30_000, '{"summary": "x", ' * 5_000, "{ {" * 50_000, '{"a": "' + "\\" * 100_000]
)
def test_hostile_text_takes_no_time(text: str) -> None:
    watch = Stopwatch()
    read(text, "quality")
    assert watch.took_s < 1.5

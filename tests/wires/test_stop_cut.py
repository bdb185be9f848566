"""Stop sequences of providers that take none: the gateway cuts where the provider would have."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.chat import ChatRequest, ChatResponse, Choice, FinishReason, Text, Thinking, ToolCall
from llm_gateway.core.events import Done, Event, Finish, TextDelta, ToolDelta, ToolStart, UsageReport, collect
from llm_gateway.core.usage import Usage
from llm_gateway.wires import ModelFacts, StopCut, fitted

FACTS = ModelFacts(upstream_id="m")
NO_STOP = msgspec.structs.replace(FACTS, stop=False)
USAGE = Usage(input_tokens=3, output_tokens=9)


def cut(stops: tuple[str, ...], *pieces: str) -> tuple[str, FinishReason | None, str | None]:
    events: list[Event] = [*map(TextDelta, pieces), Finish(FinishReason.STOP, "completed"), UsageReport(USAGE), Done()]
    told = list(StopCut(stops)(events))
    assert told[-2:] == [UsageReport(USAGE), Done()]
    (choice,) = collect(told).choices
    return choice.text, choice.finish, choice.stop_sequence


STOPPED = FinishReason.STOP_SEQUENCE


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (("one END two",), ("one ", STOPPED, "END")),
        (("one E", "ND two"), ("one ", STOPPED, "END")),
        (("one ", "E", "N", "D", " two", " three"), ("one ", STOPPED, "END")),
        (("END",), ("", STOPPED, "END")),
        (("one E", "N"), ("one EN", FinishReason.STOP, None)),
        (("one E", "Nd END"), ("one ENd ", STOPPED, "END")),
        (("EEN", "D"), ("E", STOPPED, "END")),
        (("a\n\nb END",), ("a", STOPPED, "\n\n")),
        (("a\n", "b"), ("a\nb", FinishReason.STOP, None)),
    ],
)
def test_an_answer_is_cut_at_the_first_sequence_however_its_text_is_split(
    pieces: tuple[str, ...], expected: tuple[str, FinishReason | None, str | None]
) -> None:
    assert cut(("END", "\n\n"), *pieces) == expected


@given(st.text("abE", max_size=30), st.lists(st.text("abE", min_size=1, max_size=4), min_size=1, max_size=3), st.data())
@settings(max_examples=150, deadline=None)
def test_every_split_gives_what_the_whole_gives(text: str, stops: list[str], data: st.DataObject) -> None:
    edges = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *edges], [*edges, len(text)], strict=True)]
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    assert cut(tuple(stops), *pieces)[0] == text[: min(ends)[1] if ends else len(text)]


def test_nothing_of_a_choice_comes_after_its_cut_and_other_choices_go_on() -> None:
    events: list[Event] = [
        TextDelta("aEND"), TextDelta("b"), TextDelta("x", 1), ToolStart(0, "c", "f"), ToolDelta(0, "{}"), TextDelta("y", 1),
        Finish(FinishReason.TOOL_CALLS), Finish(FinishReason.STOP, choice=1), Done(),
    ]  # fmt: skip
    one, two = collect(StopCut(("END",))(events)).choices
    assert (one.parts, one.finish) == ((Text(text="a"),), STOPPED)
    assert (two.text, two.finish) == ("xy", FinishReason.STOP)


def test_text_that_waited_is_told_before_a_call_and_when_the_stream_breaks_off() -> None:
    at = StopCut(("END",))
    assert list(at([TextDelta("aE"), ToolStart(0, "c", "f")])) == [TextDelta("a"), TextDelta("E"), ToolStart(0, "c", "f")]
    assert list(at([TextDelta("bEN")])) == [TextDelta("b")]
    assert list(at.rest()) == [TextDelta("EN")]


def test_a_whole_answer_is_cut_like_a_stream() -> None:
    parts = (Thinking(text="END"), Text(text="aE"), Text(text="NDb"), ToolCall(id="c", name="f", arguments="{}"))
    whole = ChatResponse(id="r", model="m", choices=(Choice(parts=parts, finish=FinishReason.TOOL_CALLS),), usage=USAGE)
    got = StopCut(("END",)).of(whole)
    assert got.choices[0].parts == (Thinking(text="END"), Text(text="a"))
    assert (got.choices[0].finish, got.choices[0].stop_sequence, got.usage, got.id) == (STOPPED, "END", USAGE, "r")


@pytest.mark.parametrize(
    ("wire", "facts", "stops", "cuts"),
    [
        ("openai_responses", FACTS, ("a", ""), ("a",)),
        ("openai_chat", NO_STOP, ("a",), ("a",)),
        ("openai_chat", FACTS, ("a", "b", "c", "d", "e"), ("e",)),
        ("anthropic_messages", FACTS, ("a", "\n"), ("\n",)),
        ("gemini_generate", FACTS, ("a", "b", "c", "d", "e", "f"), ("f",)),
        ("gemini_generate", FACTS, ("\n",), ()),
    ],
)
def test_the_gateway_cuts_at_what_the_target_cannot_take(
    wire: str, facts: ModelFacts, stops: tuple[str, ...], cuts: tuple[str, ...]
) -> None:
    found = fitted(ChatRequest(model="m", messages=(), stop=stops), wire, facts)
    assert found.cuts == cuts
    assert set(found.chat.stop) == set(stops) - set(cuts) - {""}

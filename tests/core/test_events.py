"""A response, replayed as a stream and folded again, is itself."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.chat import ChatResponse, Choice, FinishReason, Image, Part, Refusal, Text, Thinking, ToolCall
from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.core.events import (
    Done,
    Failed,
    Finish,
    Start,
    TextDelta,
    ThinkingDelta,
    ThinkingMark,
    ToolDelta,
    ToolStart,
    UsageReport,
    collect,
    replay,
)
from llm_gateway.core.usage import Usage

WORDS = st.text(min_size=1, max_size=6)
MAYBE = st.none() | WORDS
COUNTS = st.none() | st.integers(0, 10_000)

PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(Refusal, text=WORDS),
    st.builds(Thinking, text=WORDS, signature=MAYBE, redacted=MAYBE, wire=MAYBE, id=MAYBE),
    st.builds(Thinking, redacted=WORDS, wire=MAYBE),
    st.builds(ToolCall, id=WORDS, name=WORDS, arguments=st.text(max_size=6), custom=st.booleans(), signature=MAYBE),
    st.builds(Image, url=WORDS),
)
USAGES = st.builds(Usage, input_tokens=COUNTS, output_tokens=COUNTS, cache_read_tokens=COUNTS, reasoning_tokens=COUNTS)


def unmerged(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbouring texts are one text in a stream."""
    merging = (Text, Refusal)
    return tuple(part for kind, same in groupby(parts, type) for part in (list(same)[:1] if kind in merging else same))


CHOICES = st.builds(
    Choice,
    parts=st.lists(PARTS, max_size=6).map(unmerged),
    finish=st.sampled_from(FinishReason),
    raw_finish=MAYBE,
    stop_sequence=MAYBE,
)


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    choices = draw(st.lists(CHOICES, max_size=3))
    numbered = tuple(
        Choice(index=at, parts=choice.parts, finish=choice.finish, raw_finish=choice.raw_finish, stop_sequence=choice.stop_sequence)
        for at, choice in enumerate(choices)
    )
    created = draw(st.none() | st.integers(0, 2**33))
    return ChatResponse(id=draw(WORDS), model=draw(WORDS), choices=numbered, usage=draw(st.none() | USAGES), created=created)


@given(responses())
@settings(max_examples=150, deadline=None)
def test_collecting_a_replay_gives_the_response(response: ChatResponse) -> None:
    events = replay(response)
    assert events[-1] == Done()
    assert collect(events) == response


def test_deltas_of_interleaved_choices_and_calls_find_their_place() -> None:
    response = collect(
        [
            Start("id", "model", 1),
            ToolStart(0, "a", "f", choice=1),
            TextDelta("he", 0),
            ToolStart(1, "b", "g", choice=1),
            ToolDelta(0, "{", 1),
            TextDelta("y", 0),
            ToolDelta(1, "[]", 1),
            ToolDelta(0, "}", 1),
            ToolDelta(7, "lost", 1),
            Finish(FinishReason.TOOL_CALLS, "tool_calls", None, 1),
            Finish(FinishReason.STOP, "stop", None, 0),
            Done(),
        ]
    )
    assert response.choices == (
        Choice(index=0, parts=(Text(text="hey"),), finish=FinishReason.STOP, raw_finish="stop"),
        Choice(
            index=1,
            parts=(ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="g", arguments="[]")),
            finish=FinishReason.TOOL_CALLS,
            raw_finish="tool_calls",
        ),
    )


def test_a_mark_closes_the_thinking_before_it_and_stands_alone_after_text() -> None:
    response = collect(
        [ThinkingDelta("hm"), ThinkingMark("sig", None, "w"), TextDelta("a"), ThinkingMark(None, "secret", "w"), TextDelta("b")]
    )
    assert response.choices[0].parts == (
        Thinking(text="hm", signature="sig", wire="w"),
        Text(text="a"),
        Thinking(redacted="secret", wire="w"),
        Text(text="b"),
    )


def test_later_usage_wins_field_by_field_and_errors_are_not_judged() -> None:
    response = collect(
        [
            UsageReport(Usage(input_tokens=5, output_tokens=1)),
            UsageReport(Usage(output_tokens=9)),
            Failed(Failure(kind=FailureClass.OVERLOADED)),
        ]
    )
    assert response.usage == Usage(input_tokens=5, output_tokens=9)


def test_the_first_start_with_an_id_is_the_responses_identity() -> None:
    assert collect([Start(), Start("a", "m"), Start("b", "n")]).id == "a"

"""Parallel calls whose pieces arrive mixed: callers get one call after the other, each whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.chat import FinishReason
from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.core.events import Done, Event, Failed, Finish, TextDelta, ThinkingDelta, ToolDelta, ToolStart, collect
from llm_gateway.wires import dialects
from llm_gateway.wires._base import Reply
from llm_gateway.wires._turns import InTurn

from . import openai as o

A, B = ToolStart(0, "a", "f"), ToolStart(1, "b", "g")
END: list[Event] = [Finish(FinishReason.TOOL_CALLS, "tool_calls"), Done()]


def turned(*events: Event) -> list[Event]:
    return list(InTurn()(events))


def test_mixed_pieces_of_parallel_calls_come_call_by_call() -> None:
    events = turned(A, B, ToolDelta(0, '{"x"'), ToolDelta(1, '{"y"'), ToolDelta(0, ":1}"), ToolDelta(1, ":2}"), *END)
    assert events == [A, ToolDelta(0, '{"x"'), ToolDelta(0, ":1}"), B, ToolDelta(1, '{"y"'), ToolDelta(1, ":2}"), *END]


def test_a_call_streams_while_it_is_alone_and_the_next_begins_when_it_is_whole() -> None:
    turn = InTurn()
    assert list(turn([A, ToolDelta(0, "{")])) == [A, ToolDelta(0, "{")]
    assert list(turn([B])) == []
    assert list(turn([ToolDelta(1, "{")])) == []
    assert list(turn([ToolDelta(0, "}")])) == [ToolDelta(0, "}"), B, ToolDelta(1, "{")]
    assert list(turn([ToolDelta(1, "}")])) == [ToolDelta(1, "}")]
    assert list(turn(END)) == END


def test_text_between_the_pieces_of_a_call_waits_for_it() -> None:
    events = turned(A, ToolDelta(0, "{"), TextDelta("hey"), ThinkingDelta("hm"), ToolDelta(0, "}"), TextDelta("you"), *END)
    assert events == [A, ToolDelta(0, "{"), ToolDelta(0, "}"), TextDelta("hey"), ThinkingDelta("hm"), TextDelta("you"), *END]


def test_calls_that_never_get_arguments_are_told_at_the_end() -> None:
    assert turned(A, B, *END) == [A, B, *END]
    free = ToolStart(0, "a", "f", custom=True)
    assert turned(free, B, ToolDelta(0, "} "), ToolDelta(1, "{}"), ToolDelta(0, "x"), *END) == [
        free, ToolDelta(0, "} "), ToolDelta(0, "x"), B, ToolDelta(1, "{}"), *END,
    ]  # fmt: skip


def test_what_waits_when_the_stream_fails_comes_before_the_failure_and_nothing_has_finished() -> None:
    failed = Failed(Failure(kind=FailureClass.RESET))
    assert turned(A, B, ToolDelta(1, "{}"), failed) == [A, B, ToolDelta(1, "{}"), failed]
    turn = InTurn()
    assert list(turn([A, B, ToolDelta(1, "{}")])) == [A]
    assert list(turn.rest()) == [B, ToolDelta(1, "{}")]


def test_answers_side_by_side_do_not_wait_for_each_other() -> None:
    other = TextDelta("two", 1)
    assert turned(A, other, ToolDelta(0, "{}"), *END) == [A, other, ToolDelta(0, "{}"), *END]


@given(st.lists(st.sampled_from((0, 1, 2)), max_size=40), st.integers(1, 3))
def test_nothing_is_lost_whatever_the_order(order: list[int], size: int) -> None:
    arguments = {0: '{"a": {"b": "}"}}', 1: "{}", 2: '{"long": "text with } inside"}'}
    left = {index: [text[at : at + size] for at in range(0, len(text), size)] for index, text in arguments.items()}
    events: list[Event] = [ToolStart(index, str(index), "f") for index in arguments]
    events += [ToolDelta(index, left[index].pop(0)) for index in order if left[index]]
    events += [ToolDelta(index, piece) for index, pieces in left.items() for piece in pieces]
    found = turned(*events, *END)
    assert collect(found) == collect([*events, *END])
    starts = [at for at, event in enumerate(found) if isinstance(event, ToolStart)]
    for start, after in zip(starts, [*starts[1:], len(found) - 2], strict=True):
        assert all(isinstance(event, ToolDelta) and event.index == found[start].index for event in found[start + 1 : after])  # type: ignore[attr-defined]


MIXED = (A, B, ToolDelta(0, '{"x"'), ToolDelta(1, '{"y"'), ToolDelta(0, ":1}"), ToolDelta(1, ":2}"), *END)


@pytest.mark.parametrize("dialect", ["anthropic_messages", "gemini_generate", "openai_chat", "openai_responses"])
def test_every_caller_gets_both_calls_with_their_arguments(dialect: str) -> None:
    encoder = dialects.get(dialect).stream_encoder(Reply(request_id="r", model="m", created=1))
    stream = encoder.encode(turned(*MIXED))
    found: list[Any] = [data for data in o.data_of(stream.replace(b"\r", b"")) if isinstance(data, dict)]
    if dialect == "anthropic_messages":
        open_now: int | None = None
        pieces: dict[int, str] = {}
        for data in found:
            if data["type"] == "content_block_start":
                assert open_now is None
                open_now = data["index"]
                pieces[open_now] = ""
            elif data["type"] == "content_block_delta":
                assert data["index"] == open_now
                pieces[data["index"]] += data["delta"]["partial_json"]
            elif data["type"] == "content_block_stop":
                assert data["index"] == open_now
                open_now = None
        assert list(pieces.values()) == ['{"x":1}', '{"y":2}']
    elif dialect == "openai_responses":
        done = [data["item"]["arguments"] for data in found if data["type"] == "response.output_item.done"]
        assert done == ['{"x":1}', '{"y":2}']
    else:
        assert b'"x' in stream
        assert b'"y' in stream

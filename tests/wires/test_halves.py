"""A character that a host cut in two, between two deltas of one text, in every format and for callers of every other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llm_gateway.core.chat import Text, Thinking, ToolCall
from llm_gateway.core.events import Event, collect
from llm_gateway.wires import Reply, dialects, wires

SMILE = "\U0001f600"
HALVES = {
    "escapes": (rb"a\ud83d", rb"\ude00b"),
    "capitals": (rb"a\uD83D", rb"\uDE00b"),
    "one byte": (b"a\xf0", b"\x9f\x98\x80b"),
    "two bytes": (b"a\xf0\x9f", b"\x98\x80b"),
    "three bytes": (b"a\xf0\x9f\x98", b"\x80b"),
}
# Where the test's two pieces stand.
HOLE = "@@"


def framed(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def chat(delta: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return b"", framed({**head, "choices": [{"index": 0, "delta": delta}]}), framed(end) + b"data: [DONE]\n\n"


def responses(kind: str, item: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    first = framed({"type": "response.output_item.added", "output_index": 0, "item": item})
    delta = framed({"type": f"response.{kind}.delta", "output_index": 0, "content_index": 0, "delta": HOLE})
    return first, delta, framed({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [], "model": "m"}})


def messages(block: dict[str, Any], delta: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    start = framed(
        {"type": "message_start", "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": block},
    )
    stop = framed(
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )
    return start, framed({"type": "content_block_delta", "index": 0, "delta": delta}), stop


def gemini(part: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    one = {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], "modelVersion": "m"}
    return b"", framed(one), framed({"candidates": [{"finishReason": "STOP", "index": 0}]})


_TOOL = {"id": "t", "function": {"name": "f", "arguments": HOLE}, "index": 0}
STREAMS: dict[str, tuple[str, Callable[[], tuple[bytes, bytes, bytes]]]] = {
    "chat text": ("openai_chat", lambda: chat({"content": HOLE})),
    "chat thought": ("openai_chat", lambda: chat({"reasoning_content": HOLE})),
    "chat arguments": ("openai_chat", lambda: chat({"tool_calls": [_TOOL]})),
    "responses text": ("openai_responses", lambda: responses("output_text", {"type": "message", "id": "i"})),
    "responses thought": ("openai_responses", lambda: responses("reasoning_summary_text", {"type": "reasoning", "id": "i"})),
    "responses arguments": (
        "openai_responses",
        lambda: responses("function_call_arguments", {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": ""}),
    ),
    "messages text": ("anthropic_messages", lambda: messages({"type": "text", "text": ""}, {"type": "text_delta", "text": HOLE})),
    "messages thought": (
        "anthropic_messages",
        lambda: messages({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": HOLE}),
    ),
    "messages arguments": (
        "anthropic_messages",
        lambda: messages(
            {"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": HOLE}
        ),
    ),
    "gemini text": ("gemini_generate", lambda: gemini({"text": HOLE})),
    "gemini thought": ("gemini_generate", lambda: gemini({"text": HOLE, "thought": True})),
}  # fmt: skip


def stream_of(name: str, first: bytes, second: bytes = b"") -> bytes:
    start, delta, end = STREAMS[name][1]()
    hole = HOLE.encode()
    return start + delta.replace(hole, first) + (delta.replace(hole, second) if second else b"") + end


def events_of(name: str, stream: bytes) -> list[Event]:
    decoder = wires.get(STREAMS[name][0]).stream_decoder()
    frames = [*decoder.feed(stream), *decoder.close()]
    assert b"".join(frame.raw for frame in frames) == stream
    return [event for frame in frames for event in frame.events]


def text_in(events: list[Event]) -> str:
    (part,) = collect(events).choices[0].parts
    assert isinstance(part, Text | Thinking | ToolCall)
    return part.arguments if isinstance(part, ToolCall) else part.text


@pytest.mark.parametrize("halves", HALVES)
@pytest.mark.parametrize("name", STREAMS)
def test_a_character_in_two_deltas_arrives_whole(name: str, halves: str) -> None:
    events = events_of(name, stream_of(name, *HALVES[halves]))
    assert text_in(events) == f"a{SMILE}b"
    if name.endswith("text"):
        for dialect in ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"):
            reply = Reply(request_id="q", model="m", created=1)
            told = dialects.get(dialect).stream_encoder(reply).encode(events)
            assert SMILE in told.decode()
            assert "\ufffd" not in told.decode()


@pytest.mark.parametrize("name", [name for name in STREAMS if not name.startswith("responses")])
def test_a_half_that_stays_alone_is_marked(name: str) -> None:
    assert text_in(events_of(name, stream_of(name, rb"a\ud83d"))) == "a\ufffd"
    assert text_in(events_of(name, stream_of(name, rb"a\ud83d", b"b"))) == "a\ufffdb"


@pytest.mark.parametrize("name", STREAMS)
def test_private_characters_and_escapes_of_escapes_stay_what_they_are(name: str) -> None:
    private = "\U0010d83d"
    assert text_in(events_of(name, stream_of(name, private.encode(), rb"\\ud83d"))) == private + r"\ud83d"


def test_two_texts_that_grow_at_once_keep_their_own_halves() -> None:
    name = "responses text"
    start, delta, end = STREAMS[name][1]()
    other = delta.replace(b'"output_index": 0', b'"output_index": 1')
    halves = [(delta, rb"a\ud83d"), (other, rb"c\ud83d"), (delta, rb"\ude00b"), (other, rb"\ude00d")]
    pieces = [frame.replace(HOLE.encode(), half) for frame, half in halves]
    assert text_in(events_of(name, start + b"".join(pieces) + end)) == f"ac{SMILE}b{SMILE}d"

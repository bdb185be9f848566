"""A detail that is not as a format says spoils neither an answer nor a stream: broken text, odd types, events without data."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.errors import AttemptFailed, FailureClass
from llm_gateway.core.events import Done, Failed, collect
from llm_gateway.wires import anthropic_messages, gemini_generate, openai_chat, openai_responses
from llm_gateway.wires._base import Wire

from .openai import events_of

WHOLE: dict[str, tuple[Wire, dict[str, Any]]] = {
    "chat": (
        openai_chat.WIRE,
        {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "TEXT"}, "finish_reason": "stop"}]},
    ),
    "responses": (
        openai_responses.WIRE,
        {"id": "r", "status": "completed", "output": [{"type": "message", "content": [{"type": "output_text", "text": "TEXT"}]}]},
    ),
    "messages": (
        anthropic_messages.WIRE,
        {"id": "m", "type": "message", "content": [{"type": "text", "text": "TEXT"}], "stop_reason": "end_turn"},
    ),
    "gemini": (
        gemini_generate.WIRE,
        {"candidates": [{"content": {"parts": [{"text": "TEXT"}], "role": "model"}, "finishReason": "STOP"}]},
    ),
}


def event(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + json.dumps({"type": kind, **fields}) + b"\n\n"


def streamed(name: str) -> bytes:
    """The same answer as a stream, its text in one delta."""
    match name:
        case "chat":
            chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "TEXT"}, "finish_reason": "stop"}]}
            return b"data: " + json.dumps(chunk) + b"\n\ndata: [DONE]\n\n"
        case "responses":
            return (
                event("response.created", response={"id": "r"})
                + event("response.output_item.added", output_index=0, item={"type": "message"})
                + event("response.output_text.delta", output_index=0, delta="TEXT")
                + event("response.completed", response={"id": "r", "status": "completed", "output": []})
            )
        case "messages":
            return (
                event("message_start", message={"id": "m", "content": []})
                + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
                + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "TEXT"})
                + event("content_block_stop", index=0)
                + event("message_delta", delta={"stop_reason": "end_turn"})
                + event("message_stop")
            )
    return b"data: " + json.dumps(WHOLE[name][1]) + b"\n\n"


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    ("said", "read"), [(b"a\xf0\x9f b", "a\ufffd b"), (rb"a\ud83d b", "a\ufffd b"), (rb"a\ud83d\ude00b", "a😀b"), (rb"\u2028a", "\u2028a")]
)
def test_text_that_was_cut_within_a_character_is_read_as_far_as_it_goes(name: str, said: bytes, read: str) -> None:
    wire, document = WHOLE[name]
    assert wire.decode_response(json.dumps(document).replace(b"TEXT", said)).text == read
    events = events_of(wire, streamed(name).replace(b"TEXT", said))
    assert collect(events).text == read
    assert events[-1] == Done()


@pytest.mark.parametrize("odd", [[], "x", True, 1.5, [[{}]]])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("messages", "usage"), ("messages", "id"), ("messages", "model"), ("messages", "stop_sequence"),
        ("gemini", "usageMetadata"), ("gemini", "modelVersion"), ("gemini", "responseId"),
        ("chat", "usage"), ("chat", "id"), ("chat", "created"), ("chat", "service_tier"),
        ("responses", "usage"), ("responses", "id"), ("responses", "created_at"),
    ],
)  # fmt: skip
def test_an_answer_is_read_without_an_odd_detail(name: str, field: str, odd: Any) -> None:
    wire, document = WHOLE[name]
    assert wire.decode_response(json.dumps(document | {field: odd})).text == "TEXT"


def test_a_block_without_a_proper_index_or_signature_is_read() -> None:
    stream = streamed("messages").replace(b'"index":0', b'"index":null')
    assert collect(events_of(anthropic_messages.WIRE, stream)).text == "TEXT"
    document = {"type": "message", "content": [{"type": "thinking", "thinking": "hm", "signature": 7}], "stop_reason": "end_turn"}
    assert anthropic_messages.WIRE.decode_response(json.dumps(document)).choices[0].thinking == "hm"
    part = {"text": "TEXT", "thoughtSignature": ["x"]}
    odd = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP", "index": "0"}]}
    assert gemini_generate.WIRE.decode_response(json.dumps(odd)).text == "TEXT"


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("messages", {"type": "message", "content": "TEXT", "stop_reason": "end_turn"}),
        ("messages", {"type": "message", "content": [{"type": "text", "text": ["TEXT"]}], "stop_reason": "end_turn"}),
        ("gemini", {"candidates": [{"content": {"parts": [{"text": {"a": 1}}]}, "finishReason": "STOP"}]}),
        ("gemini", {"candidates": {"content": 1}}),
    ],
)
def test_what_an_answer_is_about_is_never_left_out(name: str, document: dict[str, Any]) -> None:
    with pytest.raises(AttemptFailed) as failed:
        WHOLE[name][0].decode_response(json.dumps(document))
    assert failed.value.failure.kind is FailureClass.BAD_JSON


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("between", [b"event: ping\ndata:\n\n", b"data: \n\n", b": x\n\n", b"id: 1\nretry: 5\n\n"])
def test_an_event_without_data_means_nothing(name: str, between: bytes) -> None:
    events = events_of(WHOLE[name][0], between + streamed(name).replace(b"\n\n", b"\n\n" + between, 2))
    assert collect(events).text == "TEXT"
    assert events[-1] == Done()
    assert not [one for one in events if isinstance(one, Failed)]


@pytest.mark.parametrize("name", WHOLE)
def test_a_mark_of_byte_order_means_nothing(name: str) -> None:
    wire = WHOLE[name][0]
    assert collect(events_of(wire, b"\xef\xbb\xbf" + streamed(name), cuts=(1, 2, 3, 9))).text == "TEXT"


def test_a_mark_of_byte_order_before_the_array_form_means_nothing() -> None:
    body = b"\xef\xbb\xbf[" + json.dumps(WHOLE["gemini"][1]) + b"\n]"
    assert collect(events_of(gemini_generate.WIRE, body, cuts=(1, 2, 4, 30))).text == "TEXT"


@pytest.mark.parametrize("name", ["chat", "messages", "gemini"])
@pytest.mark.parametrize("nothing", [False, "", {}, []])
def test_an_error_that_says_nothing_is_none(name: str, nothing: Any) -> None:
    wire, document = WHOLE[name]
    assert wire.decode_response(json.dumps(document | {"error": nothing})).text == "TEXT"


@pytest.mark.parametrize("kind", [["x"], {"a": 1}, None, 5])
def test_an_event_whose_name_is_no_word_is_passed_over(kind: Any) -> None:
    odd = b"data: " + json.dumps({"type": kind, "item": 7}) + b"\n\n"
    assert collect(events_of(openai_responses.WIRE, odd + streamed("responses"))).text == "TEXT"


@pytest.mark.parametrize("odd", [True, 5, "x", [5], {"a": 1}])
def test_an_errors_odd_details_do_not_hide_the_error(odd: Any) -> None:
    details = [{"violations": odd, "fieldViolations": odd, "reason": odd, "metadata": odd, "retryDelay": odd}]
    for status, kind in ((429, FailureClass.RATE_LIMITED), (400, FailureClass.BAD_REQUEST)):
        body = json.dumps({"error": {"code": status, "message": "no", "details": details}})
        assert gemini_generate.WIRE.decode_error(status, {}, body).kind is kind

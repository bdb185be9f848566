"""What hosts do to the streams of every format: signs of life that are no events, ends without a reason, arguments told twice."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import FinishReason
from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.events import Done, Event, Failed, Finish, TextDelta, ToolDelta, collect, replay
from llm_gateway.wires import InTurn, Reply, WayBack, dialects, menders, wires

FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")
REPLY = Reply(request_id="r", model="m", created=1)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(
        (b"event: " + event["type"].encode() + b"\n" if "type" in event else b"") + b"data: " + json.dumps(event) + b"\n\n"
        for event in events
    )


def piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def part(text: str, **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}]}


START = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1}},
}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TOOL = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {}}}
STOP = {"type": "content_block_stop", "index": 0}
END = {"type": "message_stop"}
RESPONSE = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": []}


def block(delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def ended(reason: str | None) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 2}}


# Two halves of a stream that says "ab"; signs of life stand between them.
HALVES: dict[str, tuple[bytes, bytes]] = {
    "anthropic_messages": (
        sse(START, TEXT, block({"type": "text_delta", "text": "a"})),
        sse(block({"type": "text_delta", "text": "b"}), STOP, ended("end_turn"), END),
    ),
    "gemini_generate": (sse(part("a")), sse(part("b", finishReason="STOP"))),
    "openai_chat": (sse(piece({"role": "assistant", "content": "a"})), sse(piece({"content": "b"}, "stop")) + b"data: [DONE]\n\n"),
    "openai_responses": (
        sse(
            {"type": "response.created", "response": RESPONSE | {"status": "in_progress"}},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "x", "delta": "a"},
        ),
        sse(
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "x", "delta": "b"},
            {"type": "response.completed", "response": RESPONSE},
        ),
    ),
}


def frames(wire: str, stream: bytes) -> list[Any]:
    decoder = wires.get(wire).stream_decoder()
    return decoder.feed(stream) + decoder.close()


def events_of(wire: str, stream: bytes) -> list[Event]:
    return [event for frame in frames(wire, stream) for event in frame.events]


def told(dialect: str, events: list[Event]) -> list[Event]:
    """What a caller of ``dialect`` reads."""
    said = dialects.get(dialect).stream_encoder(REPLY).encode([*InTurn()(events)])
    return events_of(dialect, said)


@pytest.mark.parametrize("noise", [b"null", b'"ping"', b"ping", b"[]", b"1", b"true", b"keep-alive", b'""', b": keep-alive"])
@pytest.mark.parametrize("wire", FORMATS)
def test_signs_of_life_are_no_events_and_reach_nobody(wire: str, noise: bytes) -> None:
    first, second = HALVES[wire]
    line = noise if noise.startswith(b":") else b"data: " + noise
    found = frames(wire, first + line + b"\n\n" + second)
    events = [event for frame in found for event in frame.events]
    assert not any(isinstance(event, Failed) for event in events)
    assert isinstance(events[-1], Done)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "ab"
    shown = b"".join(frame.shown for frame in found)
    assert noise.startswith(b":") or line + b"\n" not in shown
    assert collect(events_of(wire, shown)).text == "ab"


@pytest.mark.parametrize("wire", FORMATS)
def test_what_is_neither_still_breaks_the_stream(wire: str) -> None:
    first, second = HALVES[wire]
    failed = False
    try:
        failed = any(isinstance(event, Failed) for event in events_of(wire, first + b"data: oh no\n\n" + second))
    except AttemptFailed:
        failed = True
    assert failed


@pytest.mark.parametrize("dialect", FORMATS)
@pytest.mark.parametrize("last", [[ended(None), END], [END]], ids=["null", "missing"])
@pytest.mark.parametrize("calls", [True, False])
def test_an_anthropic_host_that_does_not_say_why_it_stopped_has_stopped(calls: bool, last: list[Any], dialect: str) -> None:
    said = (
        [TOOL, block({"type": "input_json_delta", "partial_json": "{}"})] if calls else [TEXT, block({"type": "text_delta", "text": "a"})]
    )
    events = events_of("anthropic_messages", sse(START, *said, STOP, *last))
    wanted = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
    assert [event.reason for event in events if isinstance(event, Finish)] == [wanted]
    assert collect(told(dialect, events)).choices[0].finish is wanted


@pytest.mark.parametrize("calls", [True, False])
@pytest.mark.parametrize("wire", ["anthropic_messages", "gemini_generate"])
def test_a_whole_answer_without_a_reason_has_one_for_strict_readers(wire: str, calls: bool) -> None:
    content: Any = [{"type": "tool_use", "id": "a", "name": "f", "input": {}}] if calls else [{"type": "text", "text": "a"}]
    body: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": None}
    if wire == "gemini_generate":
        parts = [{"functionCall": {"name": "f", "args": {}}}] if calls else [{"text": "a"}]
        body = {"candidates": [{"content": {"role": "model", "parts": parts}}]}
    answer = dialects.get("openai_chat").encode_response(wires.get(wire).decode_response(json.dumps(body)), REPLY)
    assert json.loads(answer)["choices"][0]["finish_reason"] == ("tool_calls" if calls else "stop")


# How hosts tell {"x":1} in pieces.
TOLD = {
    "once": ['{"x"', ":1}"],
    "once more at the end": ['{"x"', ":1}", '{"x":1}'],
    "everything twice": ['{"x":1}', '{"x":1}'],
    "all of it so far": ['{"x"', '{"x":1', '{"x":1}'],
    "empty first": ["{}", '{"x"', ":1}"],
    "empty, then all": ["{}", '{"x":1}'],
}


def calling(wire: str, pieces: list[str]) -> bytes:
    if wire == "anthropic_messages":
        return sse(START, TOOL, *(block({"type": "input_json_delta", "partial_json": one}) for one in pieces), STOP, ended("tool_use"), END)
    head = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    calls = [head, *({"index": 0, "function": {"arguments": one}} for one in pieces)]
    return sse(*(piece({"tool_calls": [one]}) for one in calls), piece({}, "tool_calls")) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("dialect", FORMATS)
@pytest.mark.parametrize("wire", ["anthropic_messages", "openai_chat"])
@pytest.mark.parametrize("name", TOLD)
def test_arguments_that_are_told_more_than_once_are_told_on_once(name: str, wire: str, dialect: str) -> None:
    events = events_of(wire, calling(wire, TOLD[name]))
    assert "".join(event.arguments for event in events if isinstance(event, ToolDelta)) == '{"x":1}'
    (call,) = collect(told(dialect, events)).choices[0].tool_calls
    assert json.loads(call.arguments.encode()) == {"x": 1}


@pytest.mark.parametrize("wire", ["anthropic_messages", "openai_chat"])
@pytest.mark.parametrize(
    "pieces",
    [["{}"], ["{", "}"], ['{"a":"', '{\\"a\\":', '1}"}'], ['{"', '{":1}'], ['{"a":"{', '}{}"}'], ["{}", " "], ['{"a":[{}', ",{}]}"]],
)
def test_arguments_that_only_look_so_stay(pieces: list[str], wire: str) -> None:
    events = events_of(wire, calling(wire, pieces))
    assert "".join(event.arguments for event in events if isinstance(event, ToolDelta)).strip() == "".join(pieces).strip()


@pytest.mark.parametrize("name", ["once more at the end", "everything twice", "all of it so far"])
def test_a_reader_of_the_same_format_adds_them_up_to_the_same(name: str) -> None:
    shown = b"".join(frame.shown for frame in frames("openai_chat", calling("openai_chat", TOLD[name])))
    data = [json.loads(line[6:]) for line in shown.split(b"\n") if line.startswith(b"data: {")]
    calls = [one for chunk in data for choice in chunk["choices"] for one in choice["delta"].get("tool_calls", ())]
    assert "".join(one["function"].get("arguments", "") for one in calls) == '{"x":1}'


def test_half_a_character_stays_half_in_a_chunk_that_is_mended() -> None:
    """Its reader joins the two; U+FFFD would be no half any more."""
    stream = b'data: {"choices":[{"index":0,"delta":{"content":"x\\ud83d"}}]}\n\n' + (
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00y"}}]}\n\n' + sse(piece({}, "stop")) + b"data: [DONE]\n\n"
    )
    shown = b"".join(frame.shown for frame in frames("openai_chat", stream))
    assert b'"content":"x\\ud83d"' in shown
    assert b"chat.completion.chunk" in shown.split(b"\n")[0]
    assert collect(events_of("openai_chat", shown)).text == "x\U0001f600y"


def test_arguments_that_an_anthropic_host_gives_as_text_are_what_the_text_says() -> None:
    content = [{"type": "tool_use", "id": "a", "name": "f", "input": '{"x":1}'}]
    body = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "tool_use"}
    (call,) = wires.get("anthropic_messages").decode_response(json.dumps(body)).choices[0].tool_calls
    assert json.loads(call.arguments.encode()) == {"x": 1}


def chat_answer(**message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


def function(name: str, arguments: Any, call_id: str = "a") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


PIECES = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}, {"type": "reference"}]


def test_content_in_pieces_is_one_text_for_strict_readers_of_its_own_format() -> None:
    """Mistral's. https://docs.mistral.ai/capabilities/reasoning"""
    message = json.loads(menders.get("openai_chat")(chat_answer(content=PIECES)))["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    stream = sse(piece({"role": "assistant", "content": PIECES}), piece({}, "stop")) + b"data: [DONE]\n\n"
    shown = b"".join(frame.shown for frame in frames("openai_chat", stream))
    assert json.loads(shown.split(b"\n")[0][6:])["choices"][0]["delta"] == {"role": "assistant", "content": "a", "reasoning_content": "hm"}


def test_a_whole_call_without_arguments_has_some_for_strict_readers_of_its_own_format() -> None:
    body = chat_answer(content=None, tool_calls=[function("f", None)])
    assert json.loads(menders.get("openai_chat")(body))["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("dialect", ["anthropic_messages", "gemini_generate"])
def test_arguments_that_a_host_encodes_twice_are_an_object(dialect: str) -> None:
    answer = wires.get("openai_chat").decode_response(chat_answer(content=None, tool_calls=[function("f", json.dumps('{"x":1}').decode())]))
    again = wires.get(dialect).decode_response(dialects.get(dialect).encode_response(answer, REPLY))
    assert json.loads(again.choices[0].tool_calls[0].arguments.encode()) == {"x": 1}


@pytest.mark.parametrize("dialect", FORMATS)
@pytest.mark.parametrize("wire", ["openai_chat", "gemini_generate"])
def test_calls_that_share_an_id_are_told_apart(wire: str, dialect: str) -> None:
    body = chat_answer(content=None, tool_calls=[function("f", "{}"), function("g", "{}")])
    if wire == "gemini_generate":
        calls = [{"functionCall": {"id": "a", "name": name, "args": {}}} for name in ("f", "g")]
        body = json.dumps({"candidates": [{"content": {"role": "model", "parts": calls}, "finishReason": "STOP"}]})
    answer = wires.get(wire).decode_response(body)
    whole = dialects.get(dialect).encode_response(WayBack(None, wires.get(wire), "p/m").whole(answer), REPLY)
    streamed = dialects.get(dialect).stream_encoder(REPLY).encode([*WayBack(None, wires.get(wire), "p/m").events(replay(answer))])
    for again in (wires.get(dialect).decode_response(whole), collect(events_of(dialect, streamed))):
        assert [call.id for call in again.choices[0].tool_calls] == ["a", "a_2"]


@pytest.mark.parametrize("dialect", [name for name in FORMATS if name != "openai_responses"])
def test_a_message_of_responses_may_be_its_text_alone(dialect: str) -> None:
    item = {"type": "message", "id": "x", "role": "assistant", "status": "completed", "content": "a"}
    answer = wires.get("openai_responses").decode_response(json.dumps(RESPONSE | {"output": [item]}))
    events = events_of("openai_responses", sse({"type": "response.completed", "response": RESPONSE | {"output": [item]}}))
    for said in (answer, collect(events)):
        assert wires.get(dialect).decode_response(dialects.get(dialect).encode_response(said, REPLY)).text == "a"

"""Any caller's format reaches any provider's: one agent turn through all sixteen pairs."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Image,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import Done, Event, collect, replay
from llm_gateway.core.usage import Usage
from llm_gateway.wires import ModelFacts, Reply, dialects, wires

FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")
FACTS = ModelFacts(upstream_id="m")
CALLS = (ToolCall(id="call_1", name="f", arguments='{"q":"x"}'), ToolCall(id="call_2", name="f", arguments="{}"))
CHAT = ChatRequest(
    model="m",
    messages=(
        Message(role="system", parts=(Text(text="Be brief."),)),
        Message(role="user", parts=(Text(text="hello"), Image(media_type="image/png", data="AAAA"))),
        Message(role="assistant", parts=(Text(text="I look."), *CALLS)),
        Message(role="user", parts=tuple(ToolResult(call_id=call.id, name="f", content=(Text(text="found"),)) for call in CALLS)),
    ),
    tools=(Tool(name="f", description="Finds.", parameters={"type": "object", "properties": {"q": {"type": "string"}}}),),
    tool_choice=ToolChoice(mode="auto"),
    max_tokens=100,
    stream=True,
    include_usage=True,
)
ANSWER = ChatResponse(
    id="x",
    model="m",
    choices=(Choice(parts=(Text(text="Again."), *CALLS), finish=FinishReason.TOOL_CALLS),),
    usage=Usage(input_tokens=10, output_tokens=5, cache_read_tokens=2),
)


def read(name: str, stream: bytes) -> list[Event]:
    decoder = wires.get(name).stream_decoder()
    return [event for frame in decoder.feed(stream) + decoder.close() for event in frame.events]


@pytest.mark.parametrize(("caller", "provider"), list(product(FORMATS, FORMATS)))
def test_a_turn_with_tools_survives(caller: str, provider: str) -> None:
    sent = json.dumps(wires.get(caller).encode_request(msgspec.structs.replace(CHAT, origin=caller), FACTS))
    chat = dialects.get(caller).decode_request(sent, {"kind": "chat", "model": "m", "stream": "sse"}).chat()
    asked = json.dumps(wires.get(provider).encode_request(chat, FACTS))
    arrived = dialects.get(provider).decode_request(asked, {"kind": "chat", "model": "m", "stream": "sse"}).chat()
    parts = [part for message in arrived.messages for part in message.parts]
    assert [part.text for part in parts if isinstance(part, Text)] == ["Be brief.", "hello", "I look."]
    assert [(part.name, json.loads(part.arguments.encode())) for part in parts if isinstance(part, ToolCall)] == [
        ("f", {"q": "x"}),
        ("f", {}),
    ]
    calls = [part.id for part in parts if isinstance(part, ToolCall)]
    assert [part.call_id for part in parts if isinstance(part, ToolResult)] == calls
    assert len(set(calls)) == 2
    assert [tool.name for tool in arrived.tools] == ["f"]

    reply = Reply(request_id="req", model="m", created=1, include_usage=True, chat=chat)
    events = read(provider, dialects.get(provider).stream_encoder(reply).encode(replay(ANSWER)))
    streamed = read(caller, dialects.get(caller).stream_encoder(reply).encode(events))
    whole = wires.get(caller).decode_response(dialects.get(caller).encode_response(collect(events), reply))
    assert Done() in streamed
    for response in (collect(streamed), whole):
        (choice,) = response.choices
        assert (choice.text, choice.finish) == ("Again.", FinishReason.TOOL_CALLS)
        assert [(call.name, json.loads(call.arguments.encode())) for call in choice.tool_calls] == [("f", {"q": "x"}), ("f", {})]
        assert response.usage is not None
        assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (12, 5)


NO_UTF8 = {
    "anthropic_messages": b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xff\xfe"}}\n\n',
    "gemini_generate": b'data: {"candidates":[{"content":{"parts":[{"text":"\xff\xfe"}]}}]}\n\n',
    "openai_chat": b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n',
    "openai_responses": b'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"\xff\xfe"}\n\n',
}


@pytest.mark.parametrize("name", FORMATS)
def test_an_event_that_is_no_utf8_or_endlessly_deep_is_the_providers_fault(name: str) -> None:
    for odd in (NO_UTF8[name], b'data: {"x":' + b"[" * 100_000 + b"\n\n", b'data: {"choices":' + b'{"a":' * 100_000 + b"\n\n"):
        failed: Failure | None = None
        try:
            assert Done() not in read(name, odd)
        except AttemptFailed as refused:
            failed = refused.failure
        assert failed is None or failed.kind is FailureClass.BAD_EVENT

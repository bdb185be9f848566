"""Anthropic's own SDK reads what the dialect writes."""

from __future__ import annotations

import anthropic
import httpx2
import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import ChatResponse, Choice, FinishReason, Text, Thinking, ToolCall
from llm_gateway.core.errors import Overloaded, RateLimited
from llm_gateway.core.events import replay
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import Reply
from llm_gateway.wires.anthropic_messages import DIALECT
from llm_gateway.wires.anthropic_messages.wire import MessagesCounter

REPLY = Reply(request_id="r1", model="some-model", created=0)
RESPONSE = ChatResponse(
    id="chatcmpl-1",
    model="some-model",
    choices=(
        Choice(
            parts=(
                Thinking(text="hm"),
                Text(text="Łódź it is"),
                ToolCall(id="call_1", name="f", arguments='{"city":"Łódź"}'),
                ToolCall(id="call_2", name="g", arguments=""),
            ),
            finish=FinishReason.TOOL_CALLS,
            raw_finish="tool_calls",
        ),
    ),
    usage=Usage(input_tokens=10, output_tokens=20, cache_read_tokens=3, reasoning_tokens=4),
)
MESSAGES: list[anthropic.types.MessageParam] = [{"role": "user", "content": "hi"}]


def client(answer: bytes, status: int = 200, kind: str = "application/json") -> anthropic.Anthropic:
    sent: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        if b'"max_tokens"' in request.content:
            DIALECT.decode_request(request.content, {"kind": "chat"}).chat()
        return httpx2.Response(status, content=answer, headers={"content-type": kind})

    transport = httpx2.MockTransport(handle)
    return anthropic.Anthropic(api_key="none", base_url="http://gateway", http_client=httpx2.Client(transport=transport), max_retries=0)


def test_an_answer() -> None:
    with client(DIALECT.encode_response(RESPONSE, REPLY)) as sdk:
        message = sdk.messages.create(model="m", max_tokens=10, messages=MESSAGES)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.stop_reason == "tool_use"
    assert message.usage.input_tokens == 10
    assert message.usage.cache_read_input_tokens == 3


def test_a_stream_adds_up_to_the_same_message() -> None:
    body = DIALECT.stream_encoder(REPLY).encode(replay(RESPONSE))
    with client(body, kind="text/event-stream") as sdk, sdk.messages.stream(model="m", max_tokens=10, messages=MESSAGES) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    with client(DIALECT.encode_response(RESPONSE, REPLY)) as sdk:
        whole = sdk.messages.create(model="m", max_tokens=10, messages=MESSAGES)
    assert text == "Łódź it is"
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    assert streamed.usage.output_tokens == whole.usage.output_tokens == 20
    assert streamed.stop_reason == whole.stop_reason


def test_an_error_in_the_stream_raises() -> None:
    encoder = DIALECT.stream_encoder(REPLY)
    body = encoder.encode(replay(RESPONSE)[:3]) + encoder.error(Overloaded("wait a little"))
    with (
        client(body, kind="text/event-stream") as sdk,
        sdk.messages.stream(model="m", max_tokens=10, messages=MESSAGES) as stream,
        pytest.raises(anthropic.APIStatusError, match="wait a little"),
    ):
        stream.get_final_message()


def test_errors_have_their_classes() -> None:
    for raised, expected in ((RateLimited("x"), anthropic.RateLimitError), (Overloaded("x"), anthropic.InternalServerError)):
        status, body = DIALECT.encode_error(raised, "r1")
        with client(body, status) as sdk, pytest.raises(expected):
            sdk.messages.create(model="m", max_tokens=10, messages=MESSAGES)


def test_a_count() -> None:
    with client(MessagesCounter().encode_response(12)) as sdk:
        assert sdk.messages.count_tokens(model="m", messages=MESSAGES).input_tokens == 12


def test_a_message_that_came_from_us_can_be_sent_back() -> None:
    body = DIALECT.encode_response(RESPONSE, REPLY)
    request = {"model": "m", "max_tokens": 5, "messages": [{"role": "assistant", "content": json.loads(body)["content"]}]}
    parts = DIALECT.decode_request(json.dumps(request), {"kind": "chat"}).chat().messages[0].parts
    assert parts[0] == Thinking(text="hm")
    assert parts[3] == ToolCall(id="call_2", name="g", arguments="{}")

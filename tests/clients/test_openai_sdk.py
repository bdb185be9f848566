"""The official OpenAI SDK against the running gateway, whichever provider answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.square.features import PNG
from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream

PROVIDERS = ("chat", "anthropic", "gemini", "fireworks")
ASK: Any = [{"role": "user", "content": "say 10 words"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
}


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def sdk(gateway: GatewayServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.rows.key, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
async def async_sdk(gateway: GatewayServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.rows.key, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_completion(sdk: openai.OpenAI, provider: str) -> None:
    done = sdk.chat.completions.create(model=f"{provider}/m", messages=ASK, max_tokens=200)
    assert done.choices[0].message.content
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_with_the_helper(sdk: openai.OpenAI, provider: str) -> None:
    with sdk.chat.completions.stream(model=f"{provider}/m", messages=ASK, max_tokens=200) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert len(deltas) > 1
    assert "".join(deltas) == final.choices[0].message.content


@pytest.mark.parametrize("asked", [True, False])
def test_usage_comes_only_when_asked_for(sdk: openai.OpenAI, asked: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(sdk.chat.completions.create(model="chat/m", messages=ASK, stream=True, **more))
    assert [chunk.usage is not None for chunk in chunks[-1:]] == [asked]
    assert all(chunk.choices for chunk in chunks) == (not asked)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_is_called_and_answered(sdk: openai.OpenAI, gateway: GatewayServer, provider: str) -> None:
    steps = [{"tool": "get_weather", "arguments": {"city": "Rome"}}, {"text": "Rain."}]
    gateway.simulator.control("script", steps=steps)
    first = sdk.chat.completions.create(model=f"{provider}/m", messages=ASK, tools=[WEATHER], max_tokens=200).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls is not None
    call: Any = first.message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Rome"}
    messages: Any = [*ASK, first.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    last = sdk.chat.completions.create(model=f"{provider}/m", messages=messages, tools=[WEATHER], max_tokens=200)
    assert last.choices[0].message.content == "Rain."


@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output_is_parsed(sdk: openai.OpenAI, provider: str) -> None:
    done = sdk.chat.completions.parse(model=f"{provider}/m", messages=ASK, response_format=Person, max_tokens=300)
    assert isinstance(done.choices[0].message.parsed, Person)


@pytest.mark.parametrize("provider", ["chat", "anthropic", "gemini"])
def test_an_image_arrives(sdk: openai.OpenAI, gateway: GatewayServer, provider: str) -> None:
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
    mark = gateway.mark
    messages: Any = [{"role": "user", "content": content}]
    assert sdk.chat.completions.create(model=f"{provider}/m", messages=messages, max_tokens=100).choices[0].message.content
    assert PNG in gateway.received(mark)[0]["body"]


@pytest.mark.parametrize("provider", ["square-responses", "chat", "anthropic", "gemini"])
def test_responses_whole_streamed_and_parsed(sdk: openai.OpenAI, provider: str, responses_provider: str) -> None:
    model = f"{responses_provider if provider == 'square-responses' else provider}/gpt-4.1"
    done = sdk.responses.create(model=model, input="say 10 words", max_output_tokens=200)
    assert done.output_text
    with sdk.responses.stream(model=model, input="say 10 words", max_output_tokens=200) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})  # type: ignore[attr-defined]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text
    parsed = sdk.responses.parse(model=model, input="A person.", text_format=Person, max_output_tokens=200)
    assert isinstance(parsed.output_parsed, Person)


@pytest.fixture
def responses_provider(gateway: GatewayServer) -> str:
    if "sdk-responses" not in gateway.rows.providers:
        gateway.rows.provider("sdk-responses", gateway.simulator.base_url("openai"), service="openai", wire="openai_responses")
        gateway.refresh()
    return "sdk-responses"


def test_responses_with_a_tool(sdk: openai.OpenAI, gateway: GatewayServer) -> None:
    steps = [{"tool": "get_weather", "arguments": {"city": "Rome"}}, {"text": "Rain."}]
    gateway.simulator.control("script", steps=steps)
    tools: Any = [{"type": "function", "strict": False, **WEATHER["function"]}]
    first = sdk.responses.create(model="anthropic/m", input="Rome?", tools=tools)
    call = next(item for item in first.output if item.type == "function_call")
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    last = sdk.responses.create(model="anthropic/m", previous_response_id=first.id, input=result, tools=tools)
    assert last.output_text == "Rain."
    assert last.previous_response_id == first.id


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),  # the gateway's key was refused, not the caller's
        (404, openai.NotFoundError),
        (413, openai.APIStatusError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_error_raises_its_own_class(sdk: openai.OpenAI, status: int, wanted: type[Exception], stream: bool) -> None:
    with pytest.raises(wanted) as caught:
        sdk.chat.completions.create(model=f"chat/fault:status:{status}", messages=ASK, stream=stream)
    assert isinstance(caught.value, openai.APIStatusError)
    assert caught.value.code
    assert caught.value.request_id


def test_the_gateways_own_errors(gateway: GatewayServer, sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        sdk.with_options(api_key="wrong").chat.completions.create(model="chat/m", messages=ASK)
    narrow = sdk.with_options(api_key=gateway.issue("one model", models=("sim-openai",)))
    with pytest.raises(openai.NotFoundError) as missing:
        narrow.chat.completions.create(model="nothing-here", messages=ASK)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as unsupported:
        sdk.chat.completions.create(model="anthropic/m", messages=ASK, logprobs=True)
    assert (unsupported.value.code, unsupported.value.param) == ("unsupported_parameter", "logprobs")
    key = gateway.issue("one at a time", requests_per_minute=1)
    hasty = sdk.with_options(api_key=key)
    hasty.chat.completions.create(model="chat/m", messages=ASK)
    with pytest.raises(openai.RateLimitError) as limited:
        hasty.chat.completions.create(model="chat/m", messages=ASK)
    assert limited.value.response.headers["retry-after"]


def test_an_error_inside_a_stream_is_raised(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(sdk.chat.completions.create(model="chat/fault:err@2", messages=ASK, stream=True))


def test_a_timeout_is_the_sdks_own(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        sdk.with_options(timeout=0.2).chat.completions.create(model="chat/fault:slow:700", messages=ASK)


def test_the_models_and_raw_headers(sdk: openai.OpenAI) -> None:
    names = [model.id for model in sdk.models.list()]
    assert "sim-openai" in names
    assert sdk.models.retrieve("sim-openai").owned_by == "openai"
    assert sdk.models.retrieve("anthropic/any-model").owned_by == "anthropic"
    raw = sdk.chat.completions.with_raw_response.create(model="chat/m", messages=ASK)
    assert raw.headers["x-cogo-provider"] == "chat"
    assert float(raw.headers["x-cogo-cost"]) > 0
    assert raw.request_id
    assert raw.parse().choices


def test_embeddings_of_both_families(sdk: openai.OpenAI) -> None:
    for model in ("openai/text-embedding-3-small", "gemini/gemini-embedding-001"):
        # The SDK asks for base64 by itself and unpacks it.
        packed = sdk.embeddings.create(model=model, input=["a", "b"], dimensions=8)
        plain = sdk.embeddings.create(model=model, input=["a", "b"], dimensions=8, encoding_format="float")
        assert [len(one.embedding) for one in packed.data] == [8, 8]
        assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, rel=1e-5)
        assert plain.usage.prompt_tokens >= 0
    with pytest.raises(openai.BadRequestError) as tokens:
        sdk.embeddings.create(model="gemini/gemini-embedding-001", input=[1, 2, 3])
    assert tokens.value.param == "input"
    with pytest.raises(openai.BadRequestError):
        sdk.embeddings.create(model="anthropic/m", input="a")


def test_what_is_new_passes_on_the_same_wire(sdk: openai.OpenAI, replaying: Upstream) -> None:
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "brand_new": [1], "choices": []}
    answer["choices"] = [{"index": 0, "message": {"role": "assistant", "content": "hi", "newer": 2}, "finish_reason": "stop"}]
    replaying.serve(json.dumps(answer).encode())
    done = sdk.chat.completions.create(model="up-chat/m", messages=ASK, extra_body={"quite_new": {"deep": True}})
    assert done.model_extra == {"brand_new": [1]}
    assert done.choices[0].message.model_extra == {"newer": 2}
    assert replaying.asked[-1].json["quite_new"] == {"deep": True}


async def test_the_async_client(async_sdk: openai.AsyncOpenAI) -> None:
    done = await async_sdk.chat.completions.create(model="gemini/m", messages=ASK, max_tokens=100)
    assert done.choices[0].message.content
    stream = await async_sdk.chat.completions.create(model="anthropic/m", messages=ASK, stream=True, max_tokens=100)
    text = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert len(text) > 1
    async with async_sdk.responses.stream(model="fireworks/m", input="say 10 words") as events:
        final = await events.get_final_response()
    assert final.output_text
    with pytest.raises(openai.RateLimitError):
        await async_sdk.chat.completions.create(model="chat/fault:status:429", messages=ASK)

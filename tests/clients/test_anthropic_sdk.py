"""The official Anthropic SDK against the running gateway, whichever provider answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from tests.square.features import PDF, PNG
from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream

PROVIDERS = ("anthropic", "chat", "gemini", "fireworks")
ASK: Any = [{"role": "user", "content": "say 10 words"}]
WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HAIKU = "anthropic/claude-haiku-4-5"


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def sdk(gateway: GatewayServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.rows.key, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
async def async_sdk(gateway: GatewayServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    # The other way to carry a key, as Claude Code does with ANTHROPIC_AUTH_TOKEN.
    async with anthropic.AsyncAnthropic(base_url=gateway.url, auth_token=gateway.rows.key, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_message(sdk: anthropic.Anthropic, provider: str) -> None:
    done = sdk.messages.create(model=f"{provider}/m", messages=ASK, max_tokens=200, system="Be brief.")
    assert done.content[0].type == "text"
    assert done.stop_reason == "end_turn"
    assert done.usage.input_tokens > 0
    assert done.usage.output_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_with_the_helper(sdk: anthropic.Anthropic, provider: str) -> None:
    with sdk.messages.stream(model=f"{provider}/m", messages=ASK, max_tokens=200) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 1
    assert final.content[0].type == "text"
    assert "".join(pieces) == final.content[0].text
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_answered(sdk: anthropic.Anthropic, gateway: GatewayServer, provider: str, stream: bool) -> None:
    steps = [{"tool": "get_weather", "arguments": {"city": "Rome"}}, {"text": "Rain."}]
    gateway.simulator.control("script", steps=steps)

    def ask(messages: Any) -> Any:
        if not stream:
            return sdk.messages.create(model=f"{provider}/m", messages=messages, tools=[WEATHER], max_tokens=200)
        with sdk.messages.stream(model=f"{provider}/m", messages=messages, tools=[WEATHER], max_tokens=200) as events:
            return events.get_final_message()

    first = ask(ASK)
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert call.input == {"city": "Rome"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    last = ask([*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}])
    assert last.content[0].text == "Rain."


@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output_is_parsed(sdk: anthropic.Anthropic, provider: str) -> None:
    done = sdk.messages.parse(model=f"{provider}/m", messages=ASK, max_tokens=300, output_format=Person)
    assert isinstance(done.parsed_output, Person)


@pytest.mark.parametrize("provider", ["anthropic", "chat", "gemini"])
def test_pictures_and_documents_arrive(sdk: anthropic.Anthropic, gateway: GatewayServer, provider: str) -> None:
    content: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
        {"type": "text", "text": "What are they?"},
    ]
    mark = gateway.mark
    assert sdk.messages.create(model=f"{provider}/m", messages=[{"role": "user", "content": content}], max_tokens=100).content
    assert PNG in gateway.received(mark)[0]["body"]
    assert PDF in gateway.received(mark)[0]["body"]


def test_thinking_keeps_its_signature_in_a_tool_loop(sdk: anthropic.Anthropic, gateway: GatewayServer) -> None:
    gateway.rows.model("anthropic", "claude-haiku-4-5", max_output_tokens=8000)
    gateway.refresh()
    steps = [{"tool": "get_weather", "arguments": {"city": "Rome"}, "thinking": "Where is it?"}, {"text": "Rain."}]
    gateway.simulator.control("script", steps=steps)
    asked: Any = {"model": HAIKU, "max_tokens": 3000, "tools": [WEATHER], "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with sdk.messages.stream(messages=ASK, **asked) as events:
        first = events.get_final_message()
    thought, call = first.content
    assert (thought.type, call.type) == ("thinking", "tool_use")
    assert thought.type == "thinking"
    assert thought.thinking == "Where is it?"
    mark = gateway.mark
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}  # type: ignore[union-attr]
    sdk.messages.create(messages=[*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}], **asked)
    assert thought.signature in gateway.received(mark)[0]["body"]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (400, anthropic.BadRequestError),
        (404, anthropic.NotFoundError),
        (413, anthropic.RequestTooLargeError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (503, anthropic.OverloadedError),
        (529, anthropic.OverloadedError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_error_raises_its_own_class(sdk: anthropic.Anthropic, status: int, wanted: type[Exception], stream: bool) -> None:
    with pytest.raises(wanted) as caught:
        sdk.messages.create(model=f"anthropic/fault:status:{status}", messages=ASK, max_tokens=10, stream=stream)
    assert isinstance(caught.value, anthropic.APIStatusError)
    assert caught.value.request_id
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["type"] == "error"


def test_the_gateways_own_errors(gateway: GatewayServer, sdk: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        sdk.with_options(api_key="wrong").messages.create(model="chat/m", messages=ASK, max_tokens=9)
    narrow = sdk.with_options(api_key=gateway.issue("narrow", models=("sim-openai",)))
    with pytest.raises(anthropic.NotFoundError):
        narrow.messages.create(model="nothing-here", messages=ASK, max_tokens=9)
    with pytest.raises(anthropic.BadRequestError) as refused:
        sdk.messages.create(model="gemini/m", messages=ASK, max_tokens=9, extra_body={"brand_new": 1})
    assert "brand_new" in refused.value.message


def test_an_error_inside_a_stream_is_raised(sdk: anthropic.Anthropic) -> None:
    for provider in ("anthropic", "chat"):
        with pytest.raises(anthropic.APIStatusError):
            list(sdk.messages.create(model=f"{provider}/fault:err@2", messages=ASK, max_tokens=99, stream=True))


def test_a_timeout_is_the_sdks_own(sdk: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APITimeoutError):
        sdk.with_options(timeout=0.2).messages.create(model="anthropic/fault:slow:700", messages=ASK, max_tokens=9)


def test_tokens_are_counted_by_the_provider_or_estimated(sdk: anthropic.Anthropic) -> None:
    for provider, source in (("anthropic", "reported"), ("gemini", "reported"), ("openai", "reported"), ("chat", "estimated")):
        raw = sdk.messages.with_raw_response.count_tokens(model=f"{provider}/gpt-4.1", messages=ASK, tools=[WEATHER])
        assert raw.headers["x-cogo-usage-source"] == source, provider
        assert 5 < raw.parse().input_tokens < 200


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_does_without_a_thread(sdk: anthropic.Anthropic, gateway: GatewayServer, provider: str, stream: bool) -> None:
    """It asks for a conversation that the server keeps, is told that there is none, and sends the whole one with every turn."""

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"rain in {city}"

    cities = [{"tool": "get_weather", "arguments": {"city": city}} for city in ("Rome", "Oslo")]
    gateway.simulator.control("script", steps=[{"tools": cities}, {"text": "Rain."}])
    mark = gateway.mark
    runner = sdk.beta.messages.tool_runner(model=f"{provider}/m", messages=ASK, tools=[get_weather], max_tokens=200, stream=stream)
    last: Any = None
    for turn in runner:
        last = turn.get_final_message() if stream else turn
    assert last.content[0].text == "Rain."
    first, second = gateway.received(mark)
    assert "thread" not in json.loads(first["body"])
    assert "say 10 words" in second["body"]
    assert "rain in Rome" in second["body"]
    assert "rain in Oslo" in second["body"]


def test_a_thread_is_refused_by_name(sdk: anthropic.Anthropic, gateway: GatewayServer) -> None:
    mark = gateway.mark
    for provider in ("anthropic", "chat"):
        with pytest.raises(anthropic.BadRequestError) as refused:
            sdk.beta.messages.thread(model=f"{provider}/m", max_tokens=9).send({"role": "user", "content": "hi"})
        details: Any = refused.value.body
        assert details["error"]["details"] == {
            "code": "unsupported_parameter",
            "param": "thread",
            "error_code": "thread_unsupported_request",
            "unsupported": ["gateway"],
        }
    assert gateway.received(mark) == []


def test_the_models_and_raw_headers(sdk: anthropic.Anthropic) -> None:
    models = list(sdk.models.list(limit=2))
    assert "sim-anthropic" in [model.id for model in models]
    assert sdk.models.retrieve("sim-anthropic").type == "model"
    assert sdk.models.retrieve("chat/any-model").id == "chat/any-model"
    raw = sdk.messages.with_raw_response.create(model="anthropic/m", messages=ASK, max_tokens=50)
    assert raw.headers["x-cogo-provider"] == "anthropic"
    assert raw.headers["x-cogo-attempts"] == "1"


def test_betas_and_new_fields_pass_on_the_same_wire(sdk: anthropic.Anthropic, replaying: Upstream) -> None:
    answer = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi", "newer": 2}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}, "brand_new": [1],
    }  # fmt: skip
    replaying.serve(json.dumps(answer).encode())
    done = sdk.beta.messages.create(
        model="up-claude/m",
        messages=ASK,
        max_tokens=9,
        betas=["new-1", "new-2"],
        extra_body={"quite_new": {"deep": 1}},
    )
    assert done.model_extra is not None
    assert done.model_extra["brand_new"] == [1]
    asked = replaying.asked[-1]
    assert asked.json["quite_new"] == {"deep": 1}
    assert asked.headers["anthropic-beta"] == "new-1,new-2"


async def test_the_async_client(async_sdk: anthropic.AsyncAnthropic) -> None:
    done = await async_sdk.messages.create(model="gemini/m", messages=ASK, max_tokens=100)
    assert done.content
    async with async_sdk.messages.stream(model="chat/m", messages=ASK, max_tokens=100) as stream:
        pieces = [piece async for piece in stream.text_stream]
    assert len(pieces) > 1
    with pytest.raises(anthropic.OverloadedError):
        await async_sdk.messages.create(model="anthropic/fault:status:529", messages=ASK, max_tokens=9)

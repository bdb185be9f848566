"""The official anthropic client against the Messages wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import jsonschema
import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import KEY, encoded, exchange

HELLO: Any = [{"role": "user", "content": "write a go function"}]
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    # Loading the certificates of the world takes longer than a test, and nothing here is encrypted.
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=sim.base_url("anthropic"), max_retries=0, http_client=http) as made:
        yield made


async def test_message_answers_and_the_stream_accumulates_to_the_same(client: anthropic.AsyncAnthropic) -> None:
    whole = await client.messages.create(model="claude-sonnet-5-5", max_tokens=1000, messages=HELLO)
    async with client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=HELLO) as stream:
        final = await stream.get_final_message()
    assert whole.stop_reason == final.stop_reason == "end_turn"
    assert [block.text for block in whole.content] == [block.text for block in final.content]
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert whole._request_id.startswith("req_")


async def test_thinking_blocks_come_signed_and_streamed(client: anthropic.AsyncAnthropic) -> None:
    thinking: Any = {"type": "adaptive"}
    whole = await client.messages.create(model="claude-sonnet-5", max_tokens=2000, messages=HELLO, thinking=thinking)
    async with client.messages.stream(model="claude-sonnet-5", max_tokens=2000, messages=HELLO, thinking=thinking) as stream:
        final = await stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.content[0].signature
    assert final.content[0].thinking == whole.content[0].thinking
    assert final.content[0].signature == whole.content[0].signature
    assert whole.usage.output_tokens_details.thinking_tokens > 0


async def test_tool_use_streams_its_input(client: anthropic.AsyncAnthropic) -> None:
    choice: Any = {"type": "any"}
    async with client.messages.stream(
        model="claude-sonnet-5", max_tokens=500, messages=HELLO, tools=[WEATHER], tool_choice=choice
    ) as stream:
        final = await stream.get_final_message()
    assert final.stop_reason == "tool_use"
    jsonschema.validate(final.content[0].input, SCHEMA)
    answered: Any = [
        *HELLO,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in final.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": final.content[0].id, "content": "rain, 9 degrees"}]},
    ]
    said = await client.messages.create(model="claude-sonnet-5", max_tokens=500, messages=answered, tools=[WEATHER])
    assert "rain, 9 degrees" in said.content[0].text


async def test_limits_and_stop_sequences_name_their_reason(client: anthropic.AsyncAnthropic) -> None:
    cut = await client.messages.create(model="claude-haiku-4-5", max_tokens=5, messages=HELLO)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 5)
    stopped = await client.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=HELLO, stop_sequences=["```"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "```")


async def test_cache_is_written_then_read_where_a_breakpoint_stands(client: anthropic.AsyncAnthropic) -> None:
    system: Any = [{"type": "text", "text": "house rules " * 500, "cache_control": {"type": "ephemeral"}}]

    async def used() -> Any:
        return (await client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=HELLO, system=system)).usage

    first, second = await used(), await used()
    assert first.cache_creation_input_tokens >= 1024
    assert first.cache_creation.ephemeral_5m_input_tokens == first.cache_creation_input_tokens
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert second.input_tokens == first.input_tokens


async def test_counted_tokens_equal_billed_input(client: anthropic.AsyncAnthropic) -> None:
    counted = await client.messages.count_tokens(model="claude-sonnet-5", messages=HELLO, system="be brief")
    made = await client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=HELLO, system="be brief")
    assert counted.input_tokens == made.usage.input_tokens


async def test_models_page_and_carry_their_lifecycle(client: anthropic.AsyncAnthropic) -> None:
    listed = {model.id: model async for model in client.models.list(limit=3)}
    assert len(listed) > 6
    assert listed["claude-sonnet-5-5"].lifecycle == "active"
    assert listed["claude-3-5-sonnet-20241022"].lifecycle == "retired"
    assert (await client.models.retrieve("claude-sonnet-4-5-20250929")).retires_at.year == 2026


@pytest.mark.parametrize(
    ("model", "extra", "error"),
    [
        ("claude-3-5-sonnet-20241022", {}, anthropic.NotFoundError),
        ("claude-sonnet-5", {"extra_body": {"temperature": 0.2}}, anthropic.BadRequestError),
        ("claude-sonnet-5", {"max_tokens": 10_000_000, "timeout": 5}, anthropic.BadRequestError),
        ("claude-sonnet-5", {"messages": [*HELLO, {"role": "assistant", "content": "{"}]}, anthropic.BadRequestError),
        ("fault:status:529", {}, anthropic.InternalServerError),
        ("fault:status:413", {}, anthropic.RequestTooLargeError),
    ],
)
async def test_refusals_raise_the_clients_own_errors(
    client: anthropic.AsyncAnthropic, model: str, extra: dict[str, Any], error: type[anthropic.APIStatusError]
) -> None:
    fields: Any = {"model": model, "max_tokens": 100, "messages": HELLO, **extra}
    with pytest.raises(error) as caught:
        await client.messages.create(**fields)
    assert caught.value.body["type"] == "error"


async def test_error_inside_a_stream_raises(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        async with client.messages.stream(model="fault:err@2", max_tokens=100, messages=HELLO) as stream:
            await stream.get_final_message()
    assert "overloaded_error" in str(caught.value)


async def test_version_header_and_max_tokens_are_required(sim: Simulator) -> None:
    keyed = {"x-api-key": KEY}
    seen = await exchange(sim, encoded("POST", "/anthropic/v1/messages", {"model": "claude-sonnet-5"}, keyed))
    assert seen.json()["error"]["message"] == "anthropic-version: header is required"
    versioned = {**keyed, "anthropic-version": "2023-06-01"}
    seen = await exchange(sim, encoded("POST", "/anthropic/v1/messages", {"model": "claude-sonnet-5", "messages": HELLO}, versioned))
    assert (seen.status, seen.json()["error"]["message"]) == (400, "max_tokens: Field required")

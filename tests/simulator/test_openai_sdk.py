"""The official openai client against the OpenAI wire."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import openai
import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import KEY

HELLO: Any = [{"role": "user", "content": "write a python function that sorts orders"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
            "required": ["city", "days"],
        },
    },
}


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    # Loading the certificates of the world takes longer than a test, and nothing here is encrypted.
    http = openai.DefaultAsyncHttpxClient(verify=False)
    async with openai.AsyncOpenAI(api_key=KEY, base_url=sim.base_url("openai"), max_retries=0, http_client=http) as made:
        yield made


async def test_chat_answers_with_code_and_counts_it(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    made = raw.parse()
    assert raw.headers["x-cogo-simulated"] == "true"
    assert raw.headers["x-request-id"].startswith("req_")
    assert "```python" in made.choices[0].message.content
    assert made.choices[0].finish_reason == "stop"
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens


async def test_stream_joins_to_the_unstreamed_answer_and_reports_usage_only_when_asked(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert all(one.usage is None for one in chunks[:-1])
    plain = [one async for one in await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)]
    assert all(one.usage is None for one in plain)
    assert plain[-1].choices[0].finish_reason == "stop"


async def test_forced_tool_has_arguments_that_fit_its_schema(client: openai.AsyncOpenAI) -> None:
    made = await client.chat.completions.create(model="gpt-4o", messages=HELLO, tools=[WEATHER], tool_choice="required")
    call = made.choices[0].message.tool_calls[0]
    assert made.choices[0].finish_reason == "tool_calls"
    assert made.choices[0].message.content is None
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])


async def test_parallel_tool_calls_stream_one_after_the_other(client: openai.AsyncOpenAI) -> None:
    asked: Any = [{"role": "user", "content": "use the tool twice in parallel"}]
    calls: dict[int, dict[str, str]] = {}
    async for chunk in await client.chat.completions.create(model="gpt-4o", messages=asked, tools=[WEATHER], stream=True):
        for delta in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(delta.index, {"id": "", "arguments": ""})
            call["id"] += delta.id or ""
            call["arguments"] += delta.function.arguments or ""
    assert sorted(calls) == [0, 1]
    assert calls[0]["id"] != calls[1]["id"]
    assert all(set(json.loads(call["arguments"])) == {"city", "days"} for call in calls.values())


async def test_tool_result_is_quoted(client: openai.AsyncOpenAI) -> None:
    messages: Any = [
        *HELLO,
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees in Lisbon"},
    ]
    made = await client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])
    assert "21 degrees in Lisbon" in made.choices[0].message.content


async def test_json_schema_answer_validates(client: openai.AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": "integer", "minimum": 0, "maximum": 100},
            "issues": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/issue"}},
        },
        "required": ["score", "issues"],
        "additionalProperties": False,
        "$defs": {
            "issue": {
                "type": "object",
                "properties": {"severity": {"enum": ["low", "high"]}},
                "required": ["severity"],
                "additionalProperties": False,
            }
        },
    }
    shape: Any = {"type": "json_schema", "json_schema": {"name": "analysis", "schema": schema, "strict": True}}
    made = await client.chat.completions.create(model="gpt-4o", messages=HELLO, response_format=shape)
    jsonschema.validate(json.loads(made.choices[0].message.content), schema)


async def test_json_mode_wants_the_word_json(client: openai.AsyncOpenAI) -> None:
    shape: Any = {"type": "json_object"}
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="gpt-4o", messages=HELLO, response_format=shape)
    asked: Any = [{"role": "user", "content": "answer in JSON"}]
    made = await client.chat.completions.create(model="gpt-4o", messages=asked, response_format=shape)
    assert isinstance(json.loads(made.choices[0].message.content), dict)


async def test_limits_stops_and_choices_are_respected(client: openai.AsyncOpenAI) -> None:
    cut = await client.chat.completions.create(model="gpt-4o", messages=HELLO, max_completion_tokens=7)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens == 7
    stopped = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stop=["```"])
    assert stopped.choices[0].finish_reason == "stop"
    assert "```" not in stopped.choices[0].message.content
    three = await client.chat.completions.create(model="gpt-4o", messages=HELLO, n=3)
    assert [one.index for one in three.choices] == [0, 1, 2]


@pytest.mark.parametrize("field", [{"max_tokens": 5}, {"stop": "x"}, {"temperature": 0.2}, {"top_p": 0.5}])
async def test_reasoning_models_refuse_old_parameters(client: openai.AsyncOpenAI, field: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="gpt-6-luna", messages=HELLO, **field)
    assert caught.value.param == next(iter(field))


async def test_reasoning_counts_inside_the_output_and_can_eat_all_of_it(client: openai.AsyncOpenAI) -> None:
    made = await client.chat.completions.create(model="gpt-5", messages=HELLO, reasoning_effort="high")
    details = made.usage.completion_tokens_details
    assert details.reasoning_tokens == 256
    assert made.usage.completion_tokens > 256
    starved = await client.chat.completions.create(model="gpt-5", messages=HELLO, reasoning_effort="high", max_completion_tokens=100)
    assert starved.choices[0].finish_reason == "length"
    assert starved.choices[0].message.content == ""
    assert starved.usage.completion_tokens == 100


async def test_second_identical_long_prompt_is_read_from_the_cache(client: openai.AsyncOpenAI) -> None:
    long: Any = [{"role": "user", "content": "explain this module " * 400}]
    first = await client.chat.completions.create(model="gpt-4o", messages=long)
    second = await client.chat.completions.create(model="gpt-4o", messages=long)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert 1024 <= second.usage.prompt_tokens_details.cached_tokens <= second.usage.prompt_tokens


async def test_responses_unstreamed_and_streamed_agree(client: openai.AsyncOpenAI) -> None:
    whole = await client.responses.create(model="gpt-5", input="explain what a mutex is", reasoning={"summary": "auto"})
    assert whole.output[0].type == "reasoning"
    assert whole.output_text
    async with client.responses.stream(model="gpt-5", input="explain what a mutex is", reasoning={"summary": "auto"}) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert numbers == sorted(numbers)
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert final.output_text == whole.output_text
    assert final.usage.output_tokens == whole.usage.output_tokens


async def test_responses_function_call_streams_with_its_name_up_front(client: openai.AsyncOpenAI) -> None:
    tool: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER["function"]["parameters"], "strict": False}
    stream = await client.responses.create(model="gpt-4o", input="hello", tools=[tool], tool_choice="required", stream=True)
    events = [event async for event in stream]
    added = next(event for event in events if event.type == "response.output_item.added")
    done = next(event for event in events if event.type == "response.function_call_arguments.done")
    deltas = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert added.item.name == "get_weather"
    assert added.item.call_id.startswith("call_")
    assert deltas == done.arguments


async def test_responses_limit_makes_it_incomplete(client: openai.AsyncOpenAI) -> None:
    made = await client.responses.create(model="gpt-4o", input="write 300 words", max_output_tokens=20)
    assert made.status == "incomplete"
    assert made.incomplete_details.reason == "max_output_tokens"
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="gpt-4o", input="hi", max_output_tokens=10)
    assert caught.value.code == "integer_below_min_value"


async def test_counted_input_equals_billed_input(client: openai.AsyncOpenAI) -> None:
    counted = await client.responses.input_tokens.count(model="gpt-4o", input="count me please", instructions="be brief")
    made = await client.responses.create(model="gpt-4o", input="count me please", instructions="be brief")
    assert counted.input_tokens == made.usage.input_tokens


async def test_embeddings_agree_in_both_encodings(client: openai.AsyncOpenAI) -> None:
    floats = await client.embeddings.create(model="text-embedding-3-small", input=["a b", "c"], dimensions=8, encoding_format="float")
    packed = await client.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input=["a b", "c"], dimensions=8, encoding_format="base64"
    )
    raw = json.loads(packed.text)["data"][0]["embedding"]
    unpacked = struct.unpack("<8f", base64.b64decode(raw))
    assert unpacked == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert floats.usage.prompt_tokens == 2


async def test_models_are_listed_with_their_end(client: openai.AsyncOpenAI) -> None:
    listed = {model.id: model async for model in client.models.list()}
    assert listed["gpt-4o"].shutdown_date == "2027-01-14"
    assert (await client.models.retrieve("gpt-6-luna")).id == "gpt-6-luna"


async def test_errors_inside_streams_raise(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        async for _ in await client.chat.completions.create(model="fault:err:rate_limit_exceeded@2", messages=HELLO, stream=True):
            pass
    assert caught.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.APIError):
        async for _ in await client.responses.create(model="fault:err@2", input="hi", stream=True):
            pass


async def test_embedding_models_do_not_chat(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="text-embedding-3-small", messages=HELLO)


async def test_unknown_and_retired_models_are_refused_each_endpoints_way(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-4o-2024-05-13", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "deprecated" in str(caught.value)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="gpt-nonexistent", input="hi")
    assert refused.value.code == "model_not_found"

"""The official google-genai client against the generateContent wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from google import genai
from google.genai import errors, types

from llm_gateway.simulator import Simulator, ThreadedSimulator
from tests.simulator.wire import KEY, ask, encoded, exchange, get

MODEL = "gemini-3.8-flash"


@pytest.fixture(scope="module")
def threaded() -> Iterator[ThreadedSimulator]:
    with ThreadedSimulator(latency_ms=0, chunk_ms=0) as running:
        yield running


@pytest.fixture(scope="module")
def client(threaded: ThreadedSimulator) -> Iterator[genai.Client]:
    root = threaded.base_url("gemini").removesuffix("/v1beta")
    made = genai.Client(api_key=KEY, vertexai=False, http_options=types.HttpOptions(base_url=root))
    yield made
    made.close()


def test_whole_and_streamed_answers_agree(client: genai.Client) -> None:
    whole = client.models.generate_content(model=MODEL, contents="write a rust struct")
    parts = list(client.models.generate_content_stream(model=MODEL, contents="write a rust struct"))
    assert "```rust" in whole.text
    assert "".join(part.text or "" for part in parts) == whole.text
    assert parts[-1].candidates[0].finish_reason == types.FinishReason.STOP
    used = whole.usage_metadata
    assert used.total_token_count == used.prompt_token_count + used.candidates_token_count + used.thoughts_token_count
    assert parts[-1].usage_metadata == used


def test_thoughts_are_shown_when_asked_for(client: genai.Client) -> None:
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    made = client.models.generate_content(model=MODEL, contents="hello", config=config)
    assert [bool(part.thought) for part in made.candidates[0].content.parts] == [True, False]


def test_a_limit_spent_on_thoughts_leaves_no_parts(client: genai.Client) -> None:
    config = types.GenerateContentConfig(max_output_tokens=20, thinking_config=types.ThinkingConfig(thinking_budget=200))
    made = client.models.generate_content(model=MODEL, contents="hello", config=config)
    assert made.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert made.candidates[0].content.parts is None
    assert made.usage_metadata.thoughts_token_count == 20


def test_function_calls_stop_with_stop(client: genai.Client) -> None:
    weather = types.FunctionDeclaration(
        name="get_weather",
        parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[weather])])
    made = client.models.generate_content(model=MODEL, contents="call get_weather", config=config)
    assert made.candidates[0].finish_reason == types.FinishReason.STOP
    assert made.function_calls[0].name == "get_weather"
    assert made.function_calls[0].id
    assert made.candidates[0].content.parts[0].thought_signature
    contents = [
        types.Content(role="user", parts=[types.Part(text="call get_weather")]),
        made.candidates[0].content,
        types.Content(role="user", parts=[types.Part.from_function_response(name="get_weather", response={"result": "snow"})]),
    ]
    said = client.models.generate_content(model=MODEL, contents=contents, config=config)
    assert "snow" in said.text


def test_json_answers_fit_googles_upper_case_schemas_too(client: genai.Client) -> None:
    schema: Any = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "minimum": 3, "maximum": 3}}, "required": ["n"]}
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema)
    assert client.models.generate_content(model=MODEL, contents="hi", config=config).parsed == {"n": 3}
    real = {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}, "minItems": 2}}, "required": ["tags"]}
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=real)
    jsonschema.validate(client.models.generate_content(model=MODEL, contents="hi", config=config).parsed, real)


def test_counted_tokens_equal_billed_prompt(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=MODEL, contents="count me please")
    made = client.models.generate_content(model=MODEL, contents="count me please")
    assert counted.total_tokens == made.usage_metadata.prompt_token_count


def test_embeddings_have_the_size_asked_for(client: genai.Client) -> None:
    config = types.EmbedContentConfig(output_dimensionality=16)
    made = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
    assert [len(one.values) for one in made.embeddings] == [16, 16]


def test_models_are_paged(client: genai.Client) -> None:
    names = [model.name for model in client.models.list(config={"page_size": 2})]
    assert "models/gemini-3.8-flash" in names
    assert len(names) > 4
    assert client.models.get(model=MODEL).input_token_limit == 1_048_576


@pytest.mark.parametrize(
    ("model", "code", "status"),
    [
        ("gemini-1.5-pro", 404, "NOT_FOUND"),
        ("fault:status:429", 429, "RESOURCE_EXHAUSTED"),
        ("fault:ctx", 400, "INVALID_ARGUMENT"),
        ("fault:status:503", 503, "UNAVAILABLE"),
    ],
)
def test_errors_reach_the_client_with_googles_status(client: genai.Client, model: str, code: int, status: str) -> None:
    with pytest.raises(errors.APIError) as caught:
        client.models.generate_content(model=model, contents="hi")
    assert (caught.value.code, caught.value.status) == (code, status)


def test_a_blocked_prompt_is_an_answer_without_candidates(client: genai.Client) -> None:
    made = client.models.generate_content(model="fault:filter", contents="hi")
    assert made.candidates is None
    assert made.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT


async def test_frames_are_separated_by_crlf_and_have_no_done(sim: Simulator) -> None:
    seen = await ask(sim, "gemini", MODEL, stream=True)
    assert seen.body.endswith(b"\r\n\r\n")
    assert b"[DONE]" not in seen.body
    assert seen.events()[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_without_alt_sse_the_stream_is_one_array(sim: Simulator) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    seen = await exchange(sim, encoded("POST", f"/gemini/v1beta/models/{MODEL}:streamGenerateContent", body))
    assert seen.headers["content-type"].startswith("application/json")
    assert seen.json()[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_errors_in_the_array_form_leave_it_an_array(sim: Simulator) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    for model, before in (("fault:err200", 0), ("fault:err@3", 3), ("fault:status:500", 0)):
        seen = await exchange(sim, encoded("POST", f"/gemini/v1beta/models/{model}:streamGenerateContent", body))
        assert len(seen.json()) == before + 1
        assert seen.json()[-1]["error"]["code"] >= 500


async def test_an_invalid_key_is_a_400_and_a_key_in_the_query_counts(sim: Simulator) -> None:
    seen = await get(sim, "/gemini/v1beta/models", {"x-goog-api-key": "sim-invalid"})
    assert seen.status == 400
    assert seen.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert (await get(sim, "/gemini/v1beta/models?key=sim-valid", {})).status == 200

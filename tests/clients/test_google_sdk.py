"""The official google-genai SDK against the running gateway, whichever provider answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.square.features import PDF, PNG
from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream

PROVIDERS = ("gemini", "chat", "anthropic", "fireworks")
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="The weather of a city.",
            parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        )
    ]
)


class Person(BaseModel):
    name: str
    age: int


def client(gateway: GatewayServer, key: str | None = None, timeout_ms: int = 20_000, version: str | None = None) -> genai.Client:
    options = types.HttpOptions(base_url=gateway.url, timeout=timeout_ms, api_version=version)
    return genai.Client(api_key=key or gateway.rows.key, http_options=options)


@pytest.fixture(params=["v1beta", "v1"])
def sdk(gateway: GatewayServer, request: pytest.FixtureRequest) -> Iterator[genai.Client]:
    """Both versions of the paths: with only a base URL, the SDK's own choice differs between its releases."""
    made = client(gateway, version=request.param)
    yield made
    made.close()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_whole_and_streamed(sdk: genai.Client, provider: str) -> None:
    config = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=200)
    done = sdk.models.generate_content(model=f"{provider}/m", contents="say 10 words", config=config)
    assert done.text
    assert done.usage_metadata is not None
    assert done.usage_metadata.prompt_token_count
    assert done.candidates is not None
    assert done.candidates[0].finish_reason == types.FinishReason.STOP
    chunks = list(sdk.models.generate_content_stream(model=f"{provider}/m", contents="say 10 words", config=config))
    assert len(chunks) > 1
    assert "".join(chunk.text or "" for chunk in chunks) == done.text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_is_called_and_answered_in_a_chat(sdk: genai.Client, gateway: GatewayServer, provider: str) -> None:
    steps = [{"tool": "get_weather", "arguments": {"city": "Rome"}}, {"text": "Rain."}]
    gateway.simulator.control("script", steps=steps)
    chat = sdk.chats.create(
        model=f"{provider}/gemini-3.8-flash", config=types.GenerateContentConfig(tools=[WEATHER], max_output_tokens=300)
    )
    first = chat.send_message("Rome?")
    (call,) = first.function_calls or []
    assert (call.name, call.args) == ("get_weather", {"city": "Rome"})
    part = types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": "rain"}))
    assert chat.send_message(part).text == "Rain."


def test_a_python_function_is_called_by_the_sdk(sdk: genai.Client, gateway: GatewayServer) -> None:
    asked = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "rain"

    steps = [{"tool": "get_weather", "arguments": {"city": "Rome"}}, {"text": "Rain."}]
    gateway.simulator.control("script", steps=steps)
    config = types.GenerateContentConfig(tools=[get_weather], max_output_tokens=300)
    assert sdk.models.generate_content(model="anthropic/m", contents="Rome?", config=config).text == "Rain."
    assert asked == ["Rome"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output_is_parsed(sdk: genai.Client, provider: str) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Person, max_output_tokens=300)
    done = sdk.models.generate_content(model=f"{provider}/m", contents="A person.", config=config)
    assert isinstance(done.parsed, Person)


@pytest.mark.parametrize("provider", ["gemini", "chat", "anthropic"])
def test_pictures_and_documents_arrive(gateway: GatewayServer, provider: str) -> None:
    import base64

    parts: Any = [
        types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"),
        types.Part.from_bytes(data=base64.b64decode(PDF), mime_type="application/pdf"),
        "What are they?",
    ]
    mark = gateway.mark
    with client(gateway) as sdk:
        assert sdk.models.generate_content(model=f"{provider}/m", contents=parts).text
    body = gateway.received(mark)[0]["body"]
    # The SDK writes base64url.
    assert PNG in body.replace("-", "+").replace("_", "/")
    assert PDF in body.replace("-", "+").replace("_", "/")


@pytest.mark.parametrize(
    ("status", "wanted", "code"),
    [
        (400, errors.ClientError, 400),
        (401, errors.ServerError, 502),  # the gateway's key was refused, not the caller's
        (404, errors.ClientError, 404),
        (413, errors.ClientError, 413),
        (429, errors.ClientError, 429),
        (500, errors.ServerError, 502),
        (503, errors.ServerError, 503),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_error_raises_its_own_class(
    gateway: GatewayServer, status: int, wanted: type[errors.APIError], code: int, stream: bool
) -> None:
    model = f"gemini/fault:status:{status}"
    with client(gateway) as sdk:
        ask = (lambda: list(sdk.models.generate_content_stream(model=model, contents="hi"))) if stream else (
            lambda: sdk.models.generate_content(model=model, contents="hi")
        )  # fmt: skip
        with pytest.raises(wanted) as caught:
            ask()
    assert caught.value.code == code
    assert caught.value.status
    assert caught.value.message


def test_the_gateways_own_errors(gateway: GatewayServer) -> None:
    with client(gateway, key="wrong") as sdk, pytest.raises(errors.ClientError) as unknown:
        sdk.models.generate_content(model="gemini/m", contents="hi")
    assert (unknown.value.code, unknown.value.status) == (401, "UNAUTHENTICATED")
    with (
        client(gateway, key=gateway.issue("for Gemini", models=("sim-gemini",))) as sdk,
        pytest.raises(errors.ClientError) as missing,
    ):
        sdk.models.generate_content(model="nothing-here", contents="hi")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    with client(gateway) as sdk, pytest.raises(errors.ClientError) as refused:
        sdk.models.generate_content(model="anthropic/m", contents="hi", config=types.GenerateContentConfig(candidate_count=2))
    assert "generationConfig.candidateCount" in str(refused.value)


def test_an_error_inside_a_stream_is_raised(gateway: GatewayServer) -> None:
    with client(gateway) as sdk:
        for provider in ("gemini", "chat"):
            with pytest.raises(errors.APIError):
                list(sdk.models.generate_content_stream(model=f"{provider}/fault:err@2", contents="hi"))


def test_a_timeout_is_raised(gateway: GatewayServer) -> None:
    with client(gateway, timeout_ms=200) as sdk, pytest.raises(Exception, match=r"(?i)time"):
        sdk.models.generate_content(model="gemini/fault:slow:700", contents="hi")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_streamed_chat_remembers_its_answers(sdk: genai.Client, provider: str) -> None:
    """The SDK drops the turn from what it sends next when a chunk of its answer has no part."""
    chat = sdk.chats.create(model=f"{provider}/m")
    said = "".join(chunk.text or "" for chunk in chat.send_message_stream("say 10 words"))
    chat.send_message("say 12 words")
    kept = [content for content in chat.get_history(curated=True) if content.role == "model"]
    assert said in "".join(part.text or "" for content in kept for part in content.parts or ())


def test_names_with_a_slash_as_older_sdks_write_them(gateway: GatewayServer) -> None:
    """``google-generativeai`` and ``@google/generative-ai`` put ``models/`` only before a name without a slash."""
    headers = {"x-goog-api-key": gateway.rows.key}
    body = {"contents": [{"role": "user", "parts": [{"text": "say 10 words"}]}]}
    for call, found in (("generateContent", "candidates"), ("streamGenerateContent?alt=sse", "data: "), ("countTokens", "totalTokens")):
        answer = gateway.http.post(f"/v1beta/anthropic/m:{call}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert found in answer.text
    for path in ("/v1beta/anthropic/m:dream", "/v1beta/models/m:dream", "/v1/models/m:dream"):
        refused = gateway.http.post(path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["error"]["status"]) == (404, "NOT_FOUND"), path


def test_counts_models_and_embeddings(gateway: GatewayServer) -> None:
    with client(gateway) as sdk:
        for provider in ("gemini", "anthropic", "chat"):
            assert sdk.models.count_tokens(model=f"{provider}/m", contents="Count these words.").total_tokens
        assert "models/sim-gemini" in [model.name for model in sdk.models.list()]
        assert sdk.models.get(model="sim-gemini").name == "models/sim-gemini"
        assert sdk.models.get(model="models/chat/any-model").name == "models/chat/any-model"
        for model in ("gemini/gemini-embedding-001", "openai/text-embedding-3-small"):
            found = sdk.models.embed_content(model=model, contents=["a", "b"], config=types.EmbedContentConfig(output_dimensionality=8))
            assert found.embeddings is not None
            assert [len(one.values or []) for one in found.embeddings] == [8, 8]


def test_what_is_new_passes_on_the_same_wire(gateway: GatewayServer, replaying: Upstream) -> None:
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "brandNew": [1]}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}, "modelVersion": "m", "newer": 2,
    }  # fmt: skip
    replaying.serve(json.dumps(answer).encode())
    config = types.GenerateContentConfig(http_options=types.HttpOptions(extra_body={"quiteNew": {"deep": 1}}))
    with client(gateway) as sdk:
        done = sdk.models.generate_content(model="up-gem/m", contents="hi", config=config)
    assert done.text == "hi"
    assert replaying.asked[-1].json["quiteNew"] == {"deep": 1}


def test_one_text_is_embedded_by_the_call_for_one(gateway: GatewayServer) -> None:
    """The AI SDK and Google's older SDKs use it."""
    headers = {"x-goog-api-key": gateway.rows.key}
    body = {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8}
    mark = gateway.mark
    answer = gateway.http.post("/v1beta/models/gemini/gemini-embedding-001:embedContent", json=body, headers=headers)
    assert len(answer.json()["embedding"]["values"]) == 8
    assert gateway.received(mark)[0]["path"].endswith(":embedContent")
    body.pop("taskType")
    answer = gateway.http.post("/v1beta/models/openai/text-embedding-3-small:embedContent", json=body, headers=headers)
    assert len(answer.json()["embedding"]["values"]) == 8


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # the SDK's own
async def test_the_async_client(gateway: GatewayServer) -> None:
    sdk = client(gateway)
    try:
        done = await sdk.aio.models.generate_content(model="anthropic/m", contents="hi")
        assert done.text
        chunks = [chunk async for chunk in await sdk.aio.models.generate_content_stream(model="chat/m", contents="say 10 words")]
        assert len(chunks) > 1
        with pytest.raises(errors.ClientError):
            await sdk.aio.models.generate_content(model="gemini/fault:status:429", contents="hi")
    finally:
        await sdk.aio.aclose()
        sdk.close()

"""Google's own SDK reads what the dialect writes."""

from __future__ import annotations

import base64

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from llm_gateway.core.chat import ChatResponse, Choice, FinishReason, Image, Text, Thinking, ToolCall
from llm_gateway.core.errors import Overloaded, RateLimited
from llm_gateway.core.events import replay
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import Embedding, Reply
from llm_gateway.wires.gemini_generate import DIALECT, embeddings
from llm_gateway.wires.gemini_generate.wire import GeminiCounter

REPLY = Reply(request_id="r1", model="some-model", created=0)
RESPONSE = ChatResponse(
    id="msg_1",
    model="some-model",
    choices=(
        Choice(
            parts=(
                Thinking(text="hm", signature="token", wire="anthropic_messages"),
                Text(text="Łódź it is"),
                ToolCall(id="call_1", name="f", arguments='{"city":"Łódź"}'),
                ToolCall(id="call_1", name="g", arguments=""),
            ),
            finish=FinishReason.TOOL_CALLS,
            raw_finish="tool_use",
        ),
    ),
    usage=Usage(input_tokens=10, output_tokens=20, cache_read_tokens=3, reasoning_tokens=4),
)
SENT: list[httpx2.Request] = []


def client(answer: bytes, status: int = 200, kind: str = "application/json") -> genai.Client:
    SENT.clear()

    def handle(request: httpx2.Request) -> httpx2.Response:
        SENT.append(request)
        return httpx2.Response(status, content=answer, headers={"content-type": kind})

    http = httpx2.Client(transport=httpx2.MockTransport(handle))
    options = types.HttpOptions(base_url="http://gateway", httpx_client=http, retry_options=types.HttpRetryOptions(attempts=1))
    return genai.Client(api_key="none", http_options=options)


def test_an_answer() -> None:
    found = client(DIALECT.encode_response(RESPONSE, REPLY)).models.generate_content(model="m", contents="hi")
    assert found.text == "Łódź it is"
    assert [(call.id, call.name, call.args) for call in found.function_calls or []] == [
        ("call_1", "f", {"city": "Łódź"}),
        ("call_1_2", "g", {}),
    ]
    assert found.usage_metadata is not None
    assert (found.usage_metadata.prompt_token_count, found.usage_metadata.thoughts_token_count) == (13, 4)


def test_a_stream_adds_up_to_the_same() -> None:
    body = DIALECT.stream_encoder(REPLY).encode(replay(RESPONSE))
    chunks = list(client(body, kind="text/event-stream").models.generate_content_stream(model="m", contents="hi"))
    parts = [part for one in chunks for part in (one.candidates[0].content.parts or [])]  # type: ignore[index,union-attr]
    assert "".join(part.text for part in parts if part.text and not part.thought) == "Łódź it is"
    assert [part.function_call.id for part in parts if part.function_call] == ["call_1", "call_1_2"]
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP  # type: ignore[index]
    assert chunks[-1].usage_metadata.candidates_token_count == 16  # type: ignore[union-attr]


def test_an_error_in_the_stream_raises() -> None:
    encoder = DIALECT.stream_encoder(REPLY)
    body = encoder.encode(replay(RESPONSE)[:4]) + encoder.error(Overloaded("wait a little"))
    with pytest.raises(errors.ServerError, match="wait a little"):
        list(client(body, kind="text/event-stream").models.generate_content_stream(model="m", contents="hi"))


def test_errors_have_their_classes() -> None:
    for raised, expected in ((RateLimited("x", retry_after_s=1), errors.ClientError), (Overloaded("x"), errors.ServerError)):
        status, body = DIALECT.encode_error(raised, "r1")
        with pytest.raises(expected) as caught:
            client(body, status).models.generate_content(model="m", contents="hi")
        assert caught.value.code == status


def test_counts_and_embeddings() -> None:
    assert client(GeminiCounter().encode_response(12)).models.count_tokens(model="m", contents="hi").total_tokens == 12
    reply = Reply(request_id="r", model="m", created=0)
    body = embeddings.GeminiEmbedder().encode_response([[0.5, 0.25]], Usage(input_tokens=3), Embedding(texts=("a",)), reply)
    found = client(body).models.embed_content(model="m", contents=["a"])
    assert found.embeddings is not None
    assert found.embeddings[0].values == [0.5, 0.25]
    decoded = DIALECT.decode_request(SENT[0].content, {"kind": "embeddings", "model": "m"})
    assert decoded.size == 1


def test_what_the_sdk_sends_is_understood() -> None:
    sdk = client(DIALECT.encode_response(RESPONSE, REPLY))
    first = sdk.models.generate_content(model="m", contents="hi")
    assert first.candidates
    model_turn = first.candidates[0].content
    assert model_turn is not None
    answer = types.Part.from_function_response(name="f", response={"result": "ok"})
    sdk.models.generate_content(
        model="m",
        contents=[
            types.Content(role="user", parts=[types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")]),
            model_turn,
            types.Content(role="user", parts=[answer]),
        ],
        config=types.GenerateContentConfig(
            system_instruction="be brief",
            temperature=0.5,
            top_k=40,
            max_output_tokens=100,
            stop_sequences=["END"],
            response_mime_type="application/json",
            response_schema={"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=100),
            tools=[types.Tool(google_search=types.GoogleSearch()), types.Tool(function_declarations=[_declaration()])],
            tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)),
            safety_settings=[
                types.SafetySetting(
                    category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.BLOCK_ONLY_HIGH
                )
            ],
        ),
    )
    chat = DIALECT.decode_request(SENT[-1].content, {"kind": "chat", "model": "m", "stream": ""}).chat()
    assert chat.extras == {}
    assert chat.messages[0].text == "be brief"
    assert chat.messages[1].parts == (Image(media_type="image/png", data=base64.b64encode(b"\x89PNG").decode()),)
    turn = chat.messages[2].parts
    assert turn[0] == Thinking(text="hm", signature="token", wire="anthropic_messages")
    assert [part for part in turn if isinstance(part, ToolCall)] == [
        ToolCall(id="call_1", name="f", arguments='{"city":"Łódź"}'),
        ToolCall(id="call_1_2", name="g", arguments="{}"),
    ]
    assert [tool.name for tool in chat.tools] == ["googleSearch", "f"]
    assert chat.tools[1].parameters == {"type": "object", "properties": {"a_b": {"type": "string"}}}
    assert chat.response_format is not None
    assert chat.response_format.schema == {"type": "object", "properties": {"a": {"type": "string"}}}


def _declaration() -> types.FunctionDeclaration:
    schema = types.Schema(type=types.Type.OBJECT, properties={"a_b": types.Schema(type=types.Type.STRING)})
    return types.FunctionDeclaration(name="f", description="F", parameters=schema)

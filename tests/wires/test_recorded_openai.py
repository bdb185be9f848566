"""Real traffic of the OpenAI formats means what a naive reading of it says."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from llm_gateway.core.chat import ChatResponse, Choice, FinishReason
from llm_gateway.core.errors import FailureClass
from llm_gateway.core.events import Done, Failed, collect, replay
from llm_gateway.core.usage import Usage
from llm_gateway.wires import counters, meters, openai_chat, openai_responses
from llm_gateway.wires._base import Edits, ModelFacts, Reply

from . import openai as o
from . import recorded
from .recorded import Recorded

pytestmark = recorded.mark

PROVIDERS = ("openai", "openai-compatible", "fireworks")


def all_of(kind: str) -> list[Recorded]:
    return [exchange for provider in PROVIDERS for exchange in recorded.load(provider, kind)]


CHAT_FINISH = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(piece["text"] for piece in content if piece.get("type") == "text")
    return content or ""


def said(choice: Choice) -> dict[str, Any]:
    """What our reading says of a choice, in the naive reading's terms."""
    return {
        "text": choice.text,
        "thinking": choice.thinking,
        "calls": [(call.id, call.name, call.arguments) for call in choice.tool_calls],
    }


def check_finish(choice: Choice, raw: str | None, naive: dict[str, Any]) -> None:
    assert choice.raw_finish == raw
    if raw is None:
        assert choice.finish is None
    elif naive["calls"] and CHAT_FINISH[raw] is FinishReason.STOP:
        assert choice.finish is FinishReason.TOOL_CALLS
    elif naive.get("refusal") and raw == "stop":
        assert choice.finish is FinishReason.REFUSAL
    else:
        assert choice.finish is CHAT_FINISH[raw]


def check_usage(usage: Usage | None, block: dict[str, Any] | None) -> None:
    if not block:
        assert usage is None
        return
    assert usage is not None
    prompt = block.get("prompt_tokens", block.get("input_tokens"))
    completion = block.get("completion_tokens", block.get("output_tokens", 0))
    inputs = block.get("prompt_tokens_details") or block.get("input_tokens_details") or {}
    outputs = block.get("completion_tokens_details") or block.get("output_tokens_details") or {}
    assert usage.prompt_tokens == prompt
    assert usage.completion_tokens == max(completion, block["total_tokens"] - prompt)
    spellings = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens")
    cached = inputs.get("cached_tokens", next((block[name] for name in spellings if name in block), None))
    # One host reports more cached tokens than the prompt has.
    assert usage.cache_read_tokens == (cached if cached is None else min(cached, prompt))
    assert usage.reasoning_tokens == outputs.get("reasoning_tokens", block.get("reasoning_tokens"))


def chunks_of(body: bytes) -> list[dict[str, Any]]:
    lines = [line[5:].strip() for line in body.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line not in (b"[DONE]", b"")]


def naive_stream(chunks: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(lambda: {"text": "", "thinking": "", "calls": {}, "finish": None})
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            at, delta = found[choice.get("index", 0)], choice.get("delta") or {}
            at["text"] += text_of(delta.get("content"))
            at["thinking"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
            at["finish"] = at["finish"] or choice.get("finish_reason") or None
            for call in delta.get("tool_calls") or ():
                known = at["calls"].setdefault(call.get("index", 0), [None, None, ""])
                known[0] = known[0] or call.get("id")
                known[1] = known[1] or call["function"].get("name")
                known[2] += call["function"].get("arguments") or ""
    for at in found.values():
        at["calls"] = [tuple(call) for call in at["calls"].values()]
    return found


@pytest.mark.parametrize("exchange", all_of("chat"), ids=str)
def test_a_chat_answer_means_what_it_says(exchange: Recorded) -> None:
    document = json.loads(exchange.body_bytes)
    response = openai_chat.WIRE.decode_response(exchange.body_bytes)
    assert (response.id, response.model, response.created) == (document["id"], document["model"], document["created"])
    assert len(response.choices) == len(document["choices"])
    for position, (choice, raw) in enumerate(zip(response.choices, document["choices"], strict=True)):
        message = raw["message"]
        naive = {
            "text": text_of(message.get("content")),
            "thinking": message.get("reasoning_content") or message.get("reasoning") or "",
            "calls": [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()],
        }
        assert choice.index == raw.get("index", position)
        assert said(choice) == naive
        check_finish(choice, raw["finish_reason"], naive | {"refusal": message.get("refusal")})
    check_usage(response.usage, document.get("usage"))
    check_both_ways(response, openai_chat.WIRE, openai_chat.DIALECT)


@pytest.mark.parametrize("exchange", all_of("chat-stream"), ids=str)
def test_a_chat_stream_means_what_it_says(exchange: Recorded) -> None:
    body = exchange.body_bytes
    frames = o.frames_of(openai_chat.WIRE, body)
    events = [event for frame in frames for event in frame.events]
    chunks = chunks_of(body)
    failed = [chunk for chunk in chunks if chunk.get("error")]
    failures = [event.failure for event in events if isinstance(event, Failed)]
    assert len(failures) == len(failed[:1])
    response = collect(events)
    naive = naive_stream(chunks)
    if failed:
        assert failures[0].status == failed[0]["error"].get("status_code")
        assert failures[0].message == failed[0]["error"]["message"]
        assert Done() not in events
    else:
        assert Done() in events
        assert response.id == next(chunk["id"] for chunk in chunks if chunk["id"])
        for choice in response.choices:
            check_finish(choice, naive[choice.index]["finish"], naive[choice.index])
    assert {choice.index: said(choice) for choice in response.choices} == {
        index: {name: at[name] for name in ("text", "thinking", "calls")} for index, at in naive.items()
    }
    blocks = [chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") for chunk in chunks]
    check_usage(response.usage, next((block for block in reversed(blocks) if block), None))
    for frame in frames:
        if frame.usage_only:
            assert chunks_of(frame.raw)[0]["choices"] == []
    check_splits(openai_chat.WIRE, body)


def naive_items(output: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"text": "", "thinking": "", "calls": []}
    for item in output:
        match item["type"]:
            case "message":
                found["text"] += "".join(part.get("text", "") for part in item["content"])
            case "reasoning":
                pieces = item.get("content") or item.get("summary") or []
                found["thinking"] += "\n\n".join(piece["text"] for piece in pieces)
            case "function_call":
                found["calls"].append((item["call_id"], item["name"], item["arguments"]))
            case "custom_tool_call":
                found["calls"].append((item["call_id"], item["name"], item["input"]))
    return found


def check_response(response: ChatResponse, document: dict[str, Any]) -> None:
    assert (response.id, response.model, response.created) == (document["id"], document["model"], int(document["created_at"]))
    (choice,) = response.choices
    naive = naive_items(document["output"])
    assert said(choice) == naive
    if document["status"] == "incomplete":
        assert choice.raw_finish == document["incomplete_details"]["reason"]
        assert choice.finish is FinishReason.LENGTH
    else:
        assert choice.finish is (FinishReason.TOOL_CALLS if naive["calls"] else FinishReason.STOP)
    check_usage(response.usage, document.get("usage"))


@pytest.mark.parametrize("exchange", all_of("responses"), ids=str)
def test_a_response_means_what_it_says(exchange: Recorded) -> None:
    response = openai_responses.WIRE.decode_response(exchange.body_bytes)
    check_response(response, json.loads(exchange.body_bytes))
    check_both_ways(response, openai_responses.WIRE, openai_responses.DIALECT)


@pytest.mark.parametrize("exchange", all_of("responses-stream"), ids=str)
def test_a_response_stream_means_what_its_last_event_says(exchange: Recorded) -> None:
    events = o.events_of(openai_responses.WIRE, exchange.body_bytes)
    chunks = chunks_of(exchange.body_bytes)
    last = chunks[-1]
    if last["type"] == "response.failed":
        (failed,) = [event for event in events if isinstance(event, Failed)]
        error = next(chunk["error"] for chunk in chunks if chunk["type"] == "error")
        assert failed.failure.code == error["code"]
        assert failed.failure.kind is FailureClass.RATE_LIMITED
        assert Done() not in events
        return
    assert events[-1] == Done()
    check_response(collect(events), last["response"])
    check_splits(openai_responses.WIRE, exchange.body_bytes)


def check_both_ways(response: ChatResponse, wire: Any, dialect: Any) -> None:
    """What we read, written to a caller whole or as a stream, says the same."""
    reply = Reply(request_id="req", model=response.model, created=0, include_usage=True)
    encoder = dialect.stream_encoder(reply)
    again = wire.decode_response(dialect.encode_response(response, reply))
    streamed = collect(o.events_of(wire, encoder.encode(replay(response))))
    for other in (again, streamed):
        assert [said(choice) for choice in other.choices] == [said(choice) for choice in response.choices]
        assert [choice.finish for choice in other.choices] == [choice.finish for choice in response.choices]


def check_splits(wire: Any, body: bytes) -> None:
    whole = o.frames_of(wire, body)
    for size in (1, 13, 1024):
        assert o.frames_of(wire, body, range(0, len(body), size)) == whole


NAIVE_CLASS = {
    400: FailureClass.BAD_REQUEST,
    401: FailureClass.AUTH,
    403: FailureClass.FORBIDDEN,
    404: FailureClass.MODEL_GONE,
    422: FailureClass.BAD_REQUEST,
    429: FailureClass.RATE_LIMITED,
    500: FailureClass.SERVER_ERROR,
    503: FailureClass.OVERLOADED,
}
NAIVE_CODE = {
    "context_length_exceeded": FailureClass.CONTEXT_LENGTH,
    "insufficient_quota": FailureClass.QUOTA,
    "unsupported_parameter": FailureClass.UNSUPPORTED_PARAMETER,
    "unsupported_value": FailureClass.UNSUPPORTED_PARAMETER,
}


def naive_error(body: bytes) -> tuple[str, str]:
    """Message and code."""
    try:
        document = json.loads(body)
    except ValueError:
        return body.decode(), ""
    error = document.get("error", document)
    if isinstance(error, str):
        return error, ""
    return error["message"], str(error.get("code"))


@pytest.mark.parametrize("exchange", [e for e in all_of("error") if e.of in ("chat", "responses", "embeddings")], ids=str)
def test_an_error_has_the_class_of_its_status_and_code(exchange: Recorded) -> None:
    failure = openai_chat.WIRE.decode_error(exchange.status, exchange.headers, exchange.body_bytes)
    message, code = naive_error(exchange.body_bytes)
    expected = NAIVE_CODE.get(code, NAIVE_CLASS[exchange.status])
    if "Extra inputs are not permitted" in message:
        expected = FailureClass.UNSUPPORTED_PARAMETER
    assert failure.kind is expected
    assert failure.status == exchange.status
    assert failure.message.startswith(" ".join(message.split())[:60].strip())
    waits = exchange.headers.get("retry-after"), exchange.headers.get("retry-after-ms")
    assert (failure.retry_after_s is None) == (waits == (None, None))


@pytest.mark.parametrize("exchange", all_of("embeddings"), ids=str)
def test_embeddings_are_counted(exchange: Recorded) -> None:
    usage = meters.get("openai_chat")(exchange.body_bytes)
    assert usage is not None
    assert usage.prompt_tokens == json.loads(exchange.body_bytes)["usage"]["prompt_tokens"]
    assert not usage.completion_tokens
    inbound = openai_chat.DIALECT.decode_request(json.dumps(exchange.request_body).encode(), {"kind": "embeddings"})
    assert (inbound.kind, inbound.model) == ("embeddings", exchange.request_body["model"])
    assert inbound.size > 0


@pytest.mark.parametrize("exchange", all_of("count-tokens"), ids=str)
def test_counted_tokens_are_read(exchange: Recorded) -> None:
    assert counters.get("openai_responses").decode_response(exchange.body_bytes) == json.loads(exchange.body_bytes)["input_tokens"]
    body = json.dumps(exchange.request_body).encode()
    assert openai_responses.DIALECT.decode_request(body, {"kind": "count_tokens"}).kind == "count_tokens"


REQUESTS = [
    exchange
    for kind in ("chat", "chat-stream", "responses", "responses-stream", "error")
    for exchange in all_of(kind)
    if exchange.request_body and exchange.of in ("chat", "responses")
]


@pytest.mark.parametrize("exchange", REQUESTS, ids=str)
def test_a_request_is_understood_and_passes_with_only_the_named_edits(exchange: Recorded) -> None:
    package: Any = openai_chat if exchange.of == "chat" else openai_responses
    sent = exchange.request_body
    if exchange.of == "chat" and isinstance(sent.get("input"), list | str):
        pytest.skip("a Responses request that the source filed under chat")
    body = json.dumps(sent).encode()
    inbound = package.DIALECT.decode_request(body, {"kind": "chat"})
    assert (inbound.model, inbound.stream) == (sent["model"], bool(sent.get("stream")))
    edits = Edits(facts=ModelFacts(upstream_id="up"), stream=inbound.stream)
    passed = json.loads(package.WIRE.edit_request(body, edits))
    renamed = {"max_completion_tokens"} if "max_completion_tokens" in sent else set()
    assert {name for name in sent if passed.get(name) != sent[name]} - renamed <= {"model", "stream_options"}
    assert passed["model"] == "up"
    if exchange.status == 200:
        chat = inbound.chat()
        again = package.WIRE.encode_request(chat, ModelFacts(upstream_id=sent["model"], thinking="effort"))
        assert again["model"] == sent["model"]

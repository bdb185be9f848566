"""Endpoints beside the main ones: served where a gateway for chat and code can, else refused in the caller's dialect with what there is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer, auth

WIRES = ("chat", "anthropic", "gemini", "responses")


def post(gateway: GatewayServer, path: str, body: Any, dialect: str = "openai_chat", **headers: str) -> Answer:
    return gateway.client(dialect).send(path, body, bool(body.get("stream")), headers)


def rows_since(gateway: GatewayServer, count: int) -> list[Any]:
    from llm_gateway.models import RequestLog

    gateway.quiet()
    return list(RequestLog.objects.order_by("id")[count:])


# Legacy completions.


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("prompt", ["Say it.", ["Say it."]])
def test_a_completion_is_answered_by_a_chat_model(gateway: GatewayServer, wire: str, prompt: Any) -> None:
    gateway.simulator.control("script", steps=[{"text": "one two END three"}])
    mark = gateway.mark
    answer = post(gateway, "/v1/completions", {"model": f"{wire}/m", "prompt": prompt, "max_tokens": 50, "stop": "END", "seed": 3})
    assert answer.status == 200, answer.body
    body = answer.json
    assert (body["object"], body["choices"][0]["text"].strip(), body["choices"][0]["finish_reason"]) == (
        "text_completion",
        "one two",
        "stop",
    )
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    assert answer.headers["x-cogo-emulated"].startswith("completions")
    assert "Say it." in gateway.received(mark)[0]["body"]
    row = gateway.row(answer)
    assert (row.dialect, row.state, row.output_tokens) == ("openai_completions", "ok", body["usage"]["completion_tokens"])
    assert row.cost_nusd > 0


@pytest.mark.parametrize("wire", WIRES)
def test_a_completion_streams(gateway: GatewayServer, wire: str) -> None:
    gateway.simulator.control("script", steps=[{"text": "one two three"}])
    asked = {"model": f"{wire}/m", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
    answer = post(gateway, "/v1/completions", asked)
    chunks = [data for _, data in answer.events if isinstance(data, dict)]
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == "one two three"
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == gateway.row(answer).output_tokens
    assert answer.events[-1][1] == "[DONE]"
    broken = post(gateway, "/v1/completions", {**asked, "model": f"{wire}/fault:err@2"})
    assert (len(broken.errors), [data for _, data in broken.events].count("[DONE]")) == (1, 0)


def test_several_prompts_are_several_requests(gateway: GatewayServer) -> None:
    from llm_gateway.models import RequestLog

    before = RequestLog.objects.count()
    gateway.simulator.control("script", steps=[{"text": "first"}, {"text": "second one"}])
    answer = post(gateway, "/v1/completions", {"model": "anthropic/m", "prompt": ["a", "b"], "max_tokens": 50})
    assert [(one["index"], one["text"]) for one in answer.json["choices"]] == [(0, "first"), (1, "second one")]
    rows = rows_since(gateway, before)
    assert [row.state for row in rows] == ["ok", "ok"]
    assert sum(row.output_tokens for row in rows) == answer.json["usage"]["completion_tokens"]
    assert all(row.cost_nusd for row in rows)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"logprobs": 3}, "logprobs"),
        ({"echo": True}, "echo"),
        ({"best_of": 4}, "best_of"),
        ({"brand_new": 1}, "brand_new"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": ["a", "b"], "stream": True}, "prompt"),
        ({"prompt": ["a"] * 21}, "prompt"),
    ],
)
def test_what_a_chat_model_cannot_complete_is_refused_by_name(gateway: GatewayServer, more: dict[str, Any], param: str) -> None:
    mark = gateway.mark
    answer = post(gateway, "/v1/completions", {"model": "chat/m", "prompt": "x", **more})
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert gateway.received(mark) == []


def test_neutral_values_of_a_completion_pass(gateway: GatewayServer) -> None:
    neutral = {"suffix": None, "logprobs": None, "echo": False, "best_of": 1, "n": 1, "logit_bias": {}, "user": "u"}
    assert post(gateway, "/v1/completions", {"model": "chat/m", "prompt": "x", **neutral}).status == 200


# Compaction.


@pytest.mark.parametrize("wire", WIRES)
def test_a_conversation_is_compacted_and_goes_on_at_any_provider(gateway: GatewayServer, wire: str) -> None:
    gateway.simulator.control("script", steps=[{"text": "They like teal-42."}, {"text": "Teal it is."}])
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    found = {"type": "function_call_output", "call_id": "c", "output": "a very long result"}
    said = [{"role": "user", "content": "I like teal-42."}, call, found, {"role": "assistant", "content": "Noted."}]
    asked = {"model": f"{wire}/m", "input": said, "instructions": "Be kind."}
    answer = post(gateway, "/v1/responses/compact", asked, "openai_responses")
    assert answer.status == 200, answer.body
    body = answer.json
    assert (body["object"], [item["type"] for item in body["output"]]) == ("response.compaction", ["message", "compaction"])
    assert body["usage"]["output_tokens"] == gateway.row(answer).output_tokens
    assert "teal-42" not in body["output"][1]["encrypted_content"]
    for other in WIRES:
        mark = gateway.mark
        on = gateway.ask("openai_responses", f"{other}/m", input=[*body["output"], {"role": "user", "content": "Which?"}])
        assert on.status == 200, on.body
        sent = gateway.received(mark)[0]["body"]
        assert "They like teal-42." in sent
        assert "compaction" not in json.dumps(json.loads(sent).get("input", ""))
        assert "cogo:" not in sent


def test_a_conversation_kept_by_id_is_compacted_whole(gateway: GatewayServer) -> None:
    gateway.simulator.control("script", steps=[{"text": "Blue."}, {"text": "Summary: blue."}])
    one = gateway.ask("openai_responses", "responses/m", input="My colour is blue-9.").json
    mark = gateway.mark
    asked = {"model": "responses/m", "previous_response_id": one["id"]}
    answer = post(gateway, "/v1/responses/compact", asked, "openai_responses")
    assert answer.status == 200, answer.body
    sent = json.loads(gateway.received(mark)[0]["body"])
    assert ("blue-9" in json.dumps(sent["input"]), sent["store"], "previous_response_id" in sent) == (True, False, False)
    assert [item["type"] for item in answer.json["output"]] == ["message", "compaction"]
    missing = post(gateway, "/v1/responses/compact", {"model": "chat/m", "previous_response_id": "resp_no"}, "openai_responses")
    assert missing.code == "previous_response_not_found"


def test_only_what_runs_in_the_background_can_be_cancelled(gateway: GatewayServer) -> None:
    one = gateway.ask("openai_responses", "chat/m", input="hi").json
    refused = post(gateway, f"/v1/responses/{one['id']}/cancel", {}, "openai_responses")
    assert (refused.status, "background" in refused.json["error"]["message"]) == (400, True)
    assert post(gateway, "/v1/responses/resp_no/cancel", {}, "openai_responses").status == 404


# Google's OpenAI-compatible prefix.


def test_googles_compatible_prefix_has_the_same_endpoints(gateway: GatewayServer) -> None:
    chat = post(gateway, "/v1beta/openai/chat/completions", {"model": "gemini/m", "messages": [{"role": "user", "content": "hi"}]})
    assert (chat.status, chat.json["object"]) == (200, "chat.completion")
    streamed = {"model": "gemini/m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    assert post(gateway, "/v1beta/openai/chat/completions", streamed).events[-1][1] == "[DONE]"
    embedded = post(gateway, "/v1beta/openai/embeddings", {"model": "openai/text-embedding-3-small", "input": "a"})
    assert embedded.json["data"][0]["object"] == "embedding"
    headers = auth("openai_chat", gateway.rows.key)
    assert gateway.http.get("/v1beta/openai/models", headers=headers).json() == gateway.http.get("/v1/models", headers=headers).json()
    one = gateway.http.get("/v1beta/openai/models/sim-gemini", headers=headers).json()
    assert (one["id"], one["object"]) == ("sim-gemini", "model")


# What is not served.

ELSEWHERE = [
    ("GET", "/v1/chat/completions/chatcmpl-1", "openai_chat", "/v1/responses"),
    ("DELETE", "/v1/chat/completions/chatcmpl-1", "openai_chat", "/v1/responses"),
    ("GET", "/v1/chat/completions/chatcmpl-1/messages", "openai_chat", "/v1/responses"),
    ("POST", "/v1/moderations", "openai_chat", "/v1/chat/completions"),
    ("POST", "/v1/audio/speech", "openai_chat", "input_audio"),
    ("POST", "/v1/audio/transcriptions", "openai_chat", "input_audio"),
    ("POST", "/v1/images/generations", "openai_chat", "messages"),
    ("POST", "/v1/rerank", "openai_chat", "/v1/embeddings"),
    ("POST", "/v1/conversations", "openai_responses", "previous_response_id"),
    ("GET", "/v1/conversations/conv_1/items", "openai_responses", "previous_response_id"),
    ("POST", "/v1/assistants", "openai_chat", "/v1/responses"),
    ("POST", "/v1/uploads", "openai_chat", "/v1/files"),
    ("POST", "/v1/files", "anthropic_messages", "into the message"),
    ("POST", "/v1/complete", "anthropic_messages", "/v1/messages"),
    ("POST", "/v1beta/interactions", "gemini_generate", "generateContent"),
    ("POST", "/v1beta/cachedContents", "gemini_generate", "cache"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "dialect", "instead"), ELSEWHERE)
def test_what_is_not_served_says_what_there_is_instead(gateway: GatewayServer, method: str, path: str, dialect: str, instead: str) -> None:
    answer = gateway.http.request(method, path, headers=auth(dialect, gateway.rows.key))
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert instead in error["message"]
    assert path in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    match dialect:
        case "anthropic_messages":
            assert answer.json()["type"] == "error"
        case "gemini_generate":
            assert (error["code"], error["status"]) == (404, "NOT_FOUND")
        case _:
            assert error["code"] == "endpoint_not_served"
    assert gateway.http.request(method, path).status_code == 401


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini_generate"])
def test_a_wrong_method_is_told_in_the_callers_dialect(gateway: GatewayServer, dialect: str) -> None:
    answer = gateway.http.delete("/v1/models/sim-openai", headers=auth(dialect, gateway.rows.key))
    assert answer.status_code == 405
    body = answer.json()
    shapes = {
        "openai_chat": "param" in body["error"],
        "anthropic_messages": body.get("type") == "error",
        "gemini_generate": "status" in body["error"],
    }
    assert [name for name, fits in shapes.items() if fits] == [dialect]


# Probes and half addresses.


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/chat/m", "/v1beta/models", "/v1beta/openai/models"])
def test_what_can_be_read_answers_head_without_a_body(gateway: GatewayServer, path: str) -> None:
    headers = auth("openai_chat", gateway.rows.key)
    read = gateway.http.get(path, headers=headers)
    probed = gateway.http.head(path, headers=headers)
    assert (read.status_code, probed.status_code, probed.content) == (200, 200, b"")
    assert probed.headers["content-type"] == read.headers["content-type"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_what_can_only_be_posted_refuses_head(gateway: GatewayServer, path: str) -> None:
    assert gateway.http.head(path, headers=auth("openai_chat", gateway.rows.key)).status_code == 405


@pytest.mark.parametrize("path", ["/completions", "/chat/completions", "/responses", "/messages", "/embeddings"])
def test_an_address_without_its_version_is_the_one_with_it(gateway: GatewayServer, path: str) -> None:
    answer = gateway.client("openai_chat").send(path, {"model": "no-such-model", "max_tokens": 5}, False)
    assert answer.headers["content-type"] == "application/json"
    assert answer.status in (400, 404), answer.body
    assert "error" in answer.json


@pytest.mark.parametrize("path", ["/moderations", "/rerank", "/audio/speech"])
def test_what_is_not_served_says_so_without_a_version_too(gateway: GatewayServer, path: str) -> None:
    answer = gateway.client("openai_chat").send(path, {"input": "x"}, False)
    assert (answer.status, answer.json["error"]["code"]) == (404, "endpoint_not_served")

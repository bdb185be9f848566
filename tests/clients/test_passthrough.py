"""Same wire: the caller's body with the named edits, the provider's frames byte for byte, usage read but hidden unless asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import request
from tests.support.upstream import WIRES, Upstream

CHUNK = b'{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m"'
# Line ends, comments, a missing space and unknown fields, as hosts send them.
CHAT = (
    b"data: "
    + CHUNK
    + b',"new":{"a":[1.50]},"choices":[{"index":0,"delta":{"role":"assistant","content":"h\\u00e9"}}],"usage":null}\r\n\r\n'
    b": keep-alive\n\n"
    b"data:" + CHUNK + b',"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
)
USAGE = b"data: " + CHUNK + b',"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n'
DONE = b"data: [DONE]\n\n"


def named(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events)


PART = {"type": "output_text", "text": "hi", "annotations": []}
ITEM = {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [PART]}
TOKENS = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
RESPONSE = {"id": "r1", "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": []}
MESSAGE = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
STREAMS = {
    "openai_responses": named(
        {"type": "response.created", "sequence_number": 0, "response": RESPONSE},
        {"type": "response.brand_new", "sequence_number": 1},
        {"type": "response.output_text.delta", "sequence_number": 2, "item_id": "i", "output_index": 0, "content_index": 0, "delta": "hi"},
        {
            "type": "response.completed", "sequence_number": 3,
            "response": {**RESPONSE, "status": "completed", "output": [ITEM], "usage": TOKENS},
        },
    ),
    "anthropic_messages": named(
        {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi", "newer": 1}},
        {"type": "brand_new"},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ).replace(b'"ping"}', b'"ping"               }'),
    "gemini_generate": (
        b'data: {"candidates":[{"content":{"parts":[{"text":"h"}],"role":"model"},"index":0}],'
        b'"usageMetadata":{"promptTokenCount":7},"new":1}\r\n\r\n'
        b'data: {"candidates":[{"content":{"parts":[{"text":"i"}],"role":"model"},"finishReason":"STOP","index":0}],'
        b'"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9}}\r\n\r\n'
    ),
}  # fmt: skip


@pytest.mark.parametrize("asked", [True, False])
def test_a_chat_stream_comes_byte_for_byte_but_for_the_usage_nobody_asked_for(
    gateway: GatewayServer, replaying: Upstream, asked: bool
) -> None:
    replaying.stream(CHAT + USAGE + DONE)
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    answer = gateway.ask("openai_chat", "up-chat/m", stream=True, **more)
    assert answer.body == CHAT + (USAGE if asked else b"") + DONE
    assert replaying.asked[-1].json["stream_options"] == {"include_usage": True}
    row = gateway.row(answer)
    assert (row.input_tokens, row.output_tokens, row.usage_source) == (7, 2, "reported")


@pytest.mark.parametrize("wire", STREAMS)
def test_other_streams_come_byte_for_byte(gateway: GatewayServer, replaying: Upstream, wire: str) -> None:
    replaying.stream(STREAMS[wire])
    answer = gateway.ask(wire, f"{WIRES[wire][0]}/m", stream=True)
    assert answer.body == STREAMS[wire]
    row = gateway.row(answer)
    assert (row.input_tokens, row.output_tokens, row.usage_source) == (7, 2, "reported")


@pytest.mark.parametrize("wire", WIRES)
def test_a_body_goes_out_with_only_the_named_edits(gateway: GatewayServer, replaying: Upstream, wire: str) -> None:
    slug = WIRES[wire][0]
    path, body = request(wire, f"{slug}/m", "Say something.", False)
    body |= {"zeta": {"kept": [1, 2.50]}, "alpha": "é\u2028"}
    replaying.serve(b'{"error":{"message":"enough"}}', status=400)
    gateway.client(wire).send(path, json.dumps(body).encode(), False)
    sent = replaying.asked[-1].json
    limits = {"max_tokens", "max_output_tokens", "generationConfig"}  # the ceiling that the hold was computed with
    assert {name for name in sent if sent[name] != body.get(name)} <= {"model"} | limits
    assert sent.get("model", "m") == "m"
    assert [name for name in sent if name in body] == [name for name in body if name in sent]


def test_headers_pass_by_a_list(gateway: GatewayServer, replaying: Upstream) -> None:
    replaying.serve(b'{"type":"error","error":{"type":"api_error","message":"x"}}', status=400, anthropic_organization_id="org-1")
    headers = {"anthropic-beta": "a-1,b-2", "x-secret": "s", "cookie": "c=1", "user-agent": "agent/1", "authorization": "Bearer nothing"}
    key = gateway.rows.key
    path, body = request("anthropic_messages", "up-claude/m", "hi", False)
    answer = gateway.http.post(path, json=body, headers={**headers, "authorization": f"Bearer {key}"})
    got = replaying.asked[-1].headers
    assert got["anthropic-beta"] == "a-1,b-2"
    assert not {"x-secret", "cookie"} & got.keys()
    assert key not in str(got)
    assert "anthropic-organization-id" not in answer.headers


def test_gemini_without_sse_is_an_array_on_every_wire(gateway: GatewayServer, replaying: Upstream) -> None:
    replaying.stream(STREAMS["gemini_generate"])
    for model in ("up-gem/m", "anthropic/m", "chat/m"):
        _, body = request("gemini_generate", model, "say 10 words", True)
        answer = gateway.client("gemini_generate").send(f"/v1beta/models/{model}:streamGenerateContent", body, False)
        assert answer.headers["content-type"] == "application/json"
        chunks = answer.json
        assert isinstance(chunks, list)
        assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
        assert chunks[-1]["usageMetadata"]["promptTokenCount"] > 0
    assert "alt=sse" in replaying.asked[-1].path

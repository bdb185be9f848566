"""A prompt that Gemini blocks: an answer to callers of its own format, an error to others, another model where the strategy asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream

BLOCKED = (
    b'{\n  "promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "new": 1},\n'
    b'  "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},\n  "modelVersion": "g"\n}'
)
PROMPT: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
FRAME = b"data: " + json.dumps(json.loads(BLOCKED)).encode() + b"\r\n\r\n"
HALF = {"candidates": [{"content": {"role": "model", "parts": [{"text": "half"}]}, "index": 0}]}


def serve(upstream: Upstream, how: str) -> None:
    if how:
        upstream.stream(FRAME)
    else:
        upstream.serve(BLOCKED)


@pytest.mark.parametrize("how", ["", "?alt=sse", "array"])
def test_a_gemini_caller_reads_it_as_from_the_provider(gateway: GatewayServer, replaying: Upstream, how: str) -> None:
    serve(replaying, how)
    verb = f"streamGenerateContent{how.removeprefix('array')}" if how else "generateContent"
    answer = gateway.client("gemini_generate").send(f"/v1beta/models/up-gem/g:{verb}", PROMPT, bool(how))
    assert answer.status == 200, answer.body
    assert "x-should-retry" not in answer.headers
    if not how:
        assert answer.body == BLOCKED
    elif how == "array":
        assert answer.json == [json.loads(BLOCKED)]
    else:
        assert [data for _, data in answer.events] == [json.loads(BLOCKED)]
    row = gateway.row(answer)
    assert (row.state, row.error_code, row.http_status, row.attempt_count) == ("failed", "content_filter", 200, 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic_messages", "native"])
def test_other_callers_get_an_error(gateway: GatewayServer, replaying: Upstream, dialect: str, stream: bool) -> None:
    serve(replaying, "sse" if stream else "")
    answer = gateway.client(dialect).ask("up-gem/g", stream=stream)
    assert (answer.status, answer.code) == (400, "content_filter")
    assert gateway.row(answer).http_status == 400


@pytest.mark.parametrize("stream", [False, True])
def test_a_strategy_that_goes_on_still_does(gateway: GatewayServer, replaying: Upstream, stream: bool) -> None:
    from llm_gateway.models import LanguageModel, Strategy

    name = f"goes-on-{stream}"
    if not LanguageModel.objects.filter(name="blocking").exists():
        gateway.rows.model("up-gem", "g", name="blocking", auto=True)
    Strategy.objects.create(name=name, kind="weighted", settings={"weights": {"up-gem": 1}, "content_policy_fallback": True})
    gateway.refresh()
    serve(replaying, "sse" if stream else "")
    answer = gateway.client("gemini_generate").ask(f"strategy:{name}", stream=stream)
    assert answer.status == 200, answer.body
    assert b"promptFeedback" not in answer.body
    assert answer.text.strip()
    assert [one.error_class for one in gateway.row(answer).attempts.order_by("number")] == ["content_filter", ""]


@pytest.mark.parametrize("dialect", ["gemini_generate", "openai_chat", "openai_responses", "anthropic_messages"])
def test_a_block_in_the_middle_ends_what_was_said(gateway: GatewayServer, replaying: Upstream, dialect: str) -> None:
    replaying.stream(b"data: " + json.dumps(HALF).encode() + b"\r\n\r\n" + FRAME)
    answer = gateway.client(dialect).ask("up-gem/g", stream=True)
    assert (answer.status, answer.text, answer.errors) == (200, "half", [])
    row = gateway.row(answer)
    assert (row.state, row.finish_reason) == ("ok", "content_filter")
    if dialect == "gemini_generate":
        assert FRAME in answer.body
    else:
        assert answer.terminals == 1

"""What a translation says of itself, and how it adapts to a host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import auth
from tests.support.upstream import Upstream

FUNCTION = {"type": "function", "name": "run", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_left_out_is_told_by_name(gateway: GatewayServer, stream: bool) -> None:
    tools = [FUNCTION, {"type": "web_search"}]
    told = gateway.ask(
        "openai_responses",
        "anthropic/claude-3-haiku-20240307",
        stream=stream,
        tools=tools,
        reasoning={"effort": "low", "context": "all_turns"},
        input="hi",
    )
    assert told.headers["x-cogo-left-out"] == "tools.web_search, reasoning, reasoning.context"
    plain = gateway.ask("openai_responses", "anthropic/claude-haiku-4-5", stream=stream, tools=[FUNCTION])
    assert "x-cogo-left-out" not in plain.headers


def test_what_only_gemini_knows_of_embeddings_is_told_too(gateway: GatewayServer) -> None:
    """LangChain names a task with every text."""
    one = {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_DOCUMENT", "title": "b"}
    headers = auth("gemini_generate", gateway.rows.key)
    path = "/v1beta/models/openai/text-embedding-3-small:batchEmbedContents"
    answer = gateway.http.post(path, json={"requests": [one, {**one, "title": None}]}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-cogo-left-out"] == "requests.taskType, requests.title"
    path = "/v1beta/models/gemini/gemini-embedding-001:embedContent"
    assert "x-cogo-left-out" not in gateway.http.post(path, json=one, headers=headers).headers


@pytest.mark.parametrize("tools", [[{"type": "web_search"}], [FUNCTION, {"type": "web_search"}]])
def test_a_search_that_was_asked_for_is_refused(gateway: GatewayServer, tools: list[Any]) -> None:
    answer = gateway.ask("openai_responses", "gemini/m", tools=tools, tool_choice={"type": "web_search"})
    assert answer.status == 400
    assert answer.json["error"]["code"] == "unsupported_parameter"


@pytest.mark.parametrize(
    ("dialect", "more"), [("openai_chat", {"reasoning_effort": "minimal"}), ("openai_responses", {"reasoning": {"effort": "minimal"}})]
)
def test_fireworks_gets_an_effort_it_takes(gateway: GatewayServer, dialect: str, more: dict[str, Any]) -> None:
    mark = gateway.mark
    answer = gateway.ask(dialect, "fireworks/accounts/fireworks/models/gpt-oss-new", **more)
    assert answer.status == 200, answer.body
    assert json.loads(gateway.received(mark)[0]["body"])["reasoning_effort"] == "low"


def test_a_host_that_cannot_count_is_not_taken_for_broken(gateway: GatewayServer, replaying: Upstream) -> None:
    headers = auth("anthropic_messages", gateway.rows.key)
    body = {"model": "up-claude/m", "messages": [{"role": "user", "content": "Count these words."}]}
    for status in (404, 500):
        replaying.serve(b'{"detail":"Not Found"}', status=status)
        counted = gateway.http.post("/v1/messages/count_tokens", json=body, headers=headers)
        assert counted.status_code == 200, counted.text
        assert counted.headers["x-cogo-usage-source"] == "estimated"
        assert counted.json()["input_tokens"] > 3
    assert not any("suspended" in str(state) or "off" in str(state.get("state")) for state in gateway.health().values())


def test_counts_of_tools_and_pictures_are_the_providers(gateway: GatewayServer) -> None:
    headers = auth("gemini_generate", gateway.rows.key)
    body = {"contents": [{"role": "user", "parts": [{"text": "Count these words."}]}]}
    counted = gateway.http.post("/v1beta/models/anthropic/m:countTokens", json=body, headers=headers)
    assert counted.headers["x-cogo-usage-source"] == "reported"
    assert counted.headers["x-cogo-provider"] == "anthropic"
    assert counted.json()["totalTokens"] > 0

"""Wishes in the words of one host or SDK, at providers that have others for them or none."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.simulator.checks.anthropic import check_messages
from llm_gateway.simulator.checks.openai import check_chat, check_responses
from llm_gateway.wires import Fitted, ModelFacts, dialects, fitted, wires

FACTS = ModelFacts(upstream_id="m", thinking="effort")
HELLO = {"role": "user", "content": "hi"}
OPENAI = {"openai_chat": check_chat, "openai_responses": check_responses}


def fit(caller: str, body: dict[str, Any], wire: str, facts: ModelFacts = FACTS) -> Fitted:
    path = {"kind": "chat", "model": "m", "stream": ""}
    return fitted(dialects.get(caller).decode_request(json.dumps(body), path).chat(), wire, facts)


def sent(caller: str, body: dict[str, Any], wire: str, facts: ModelFacts = FACTS) -> dict[str, Any]:
    found = json.loads(json.dumps(wires.get(wire).encode_request(fit(caller, body, wire, facts).chat, facts)))
    assert isinstance(found, dict)
    return found


def claude(*tools: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 99, "messages": [HELLO], "tools": list(tools), **more}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": "f", "strict": True, "input_schema": schema}


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
OPTIONAL = CLOSED | {"required": []}
INNER = CLOSED | {"properties": {"a": {"type": "array", "items": OPTIONAL}}}
BRANCH = CLOSED | {"properties": {"a": {"anyOf": [{"type": "null"}, OPTIONAL]}}}


@pytest.mark.parametrize("wire", OPENAI)
@pytest.mark.parametrize("schema", [OPTIONAL, INNER, BRANCH, {"type": "object"}], ids=["optional", "inside a list", "in a branch", "open"])
def test_a_strict_tool_that_openai_would_refuse_is_sent_without_the_promise_and_told(schema: dict[str, Any], wire: str) -> None:
    body = claude({"name": "g", "input_schema": {"type": "object"}}, strict(schema))
    out = sent("anthropic_messages", body, wire)
    OPENAI[wire](out)
    told = out["tools"][1].get("function", out["tools"][1])
    assert told["strict"] is False
    assert fit("anthropic_messages", body, wire).left_out == ("tools[1].strict",)


@pytest.mark.parametrize("wire", OPENAI)
def test_a_strict_tool_that_openai_takes_stays_strict(wire: str) -> None:
    out = sent("anthropic_messages", claude(strict(CLOSED)), wire)
    assert out["tools"][0].get("function", out["tools"][0])["strict"] is True
    assert fit("anthropic_messages", claude(strict(CLOSED)), wire).left_out == ()


NEUTRAL: list[tuple[str, dict[str, Any]]] = [
    ("anthropic_messages", claude(mcp_servers=[])),
    ("openai_chat", {"model": "m", "messages": [HELLO], "echo": False, "transforms": []}),
    ("openai_responses", {"model": "m", "input": "hi", "brand_new": False}),
    ("gemini_generate", {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"responseLogprobs": False}}),
    ("gemini_generate", {"contents": [{"parts": [{"text": "hi"}]}], "tools": [{"functionDeclarations": None}]}),
]
FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize(("caller", "body"), NEUTRAL, ids=lambda one: one if isinstance(one, str) else json.dumps(one).decode()[-40:])
def test_what_asks_for_nothing_passes(caller: str, body: dict[str, Any], wire: str) -> None:
    if wire != caller:
        assert sent(caller, body, wire)
        assert fit(caller, body, wire).left_out == ()


@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "openai_chat"])
@pytest.mark.parametrize(
    "more",
    [
        {"usage": {"include": True}},
        {"provider": {"order": ["a"]}},
        {"include_reasoning": True},
        {"enable_thinking": True},
        {"chat_template_kwargs": {"enable_thinking": True}},
    ],
)
def test_what_a_host_is_asked_about_itself_is_left_out_and_told(more: dict[str, Any], wire: str) -> None:
    body = {"model": "m", "messages": [HELLO], **more}
    assert sent("openai_chat", body, wire)
    assert fit("openai_chat", body, wire).left_out == tuple(more)


@pytest.mark.parametrize(
    ("wish", "effort"),
    [({"effort": "high"}, "high"), ({"enabled": False}, "none"), ({"max_tokens": 16384}, "high"), ({"exclude": True}, None)],
)
def test_openrouters_wish_to_reason_is_one(wish: dict[str, Any], effort: str | None) -> None:
    out = sent("openai_chat", {"model": "m", "messages": [HELLO], "reasoning": wish}, "openai_responses")
    assert out.get("reasoning", {}).get("effort") == effort


def test_claude_gets_no_more_marks_for_its_cache_than_it_takes() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    turns = [{"role": "user", "content": [{"type": "text", "text": f"turn {at}", **mark}]} for at in range(6)]
    system = {"role": "system", "content": [{"type": "text", "text": "Be brief.", **mark}]}
    out = sent("openai_chat", {"model": "m", "messages": [system, *turns]}, "anthropic_messages")
    check_messages(out)
    assert out["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert [block["text"] for block in out["messages"][0]["content"] if "cache_control" in block] == ["turn 3", "turn 4", "turn 5"]


def test_a_field_that_asks_for_something_is_still_refused() -> None:
    with pytest.raises(UnsupportedParameter):
        sent("openai_chat", {"model": "m", "messages": [HELLO], "brand_new": 1}, "gemini_generate")

"""What the tests of requests share."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatRequest,
    Message,
    Part,
    Text,
)
from llm_gateway.wires._base import Inbound, ModelFacts
from llm_gateway.wires.anthropic_messages import DIALECT

FACTS = ModelFacts(upstream_id="claude-x")


ADAPTIVE = ModelFacts(upstream_id="claude-x", thinking="adaptive", sampling=False, default_max_tokens=32_000)


BUDGET = ModelFacts(upstream_id="claude-x", thinking="budget", default_max_tokens=16_000, max_output_tokens=32_000)


MINIMAL: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def inbound(kind: str = "chat", **fields: Any) -> Inbound:
    return DIALECT.decode_request(json.dumps(MINIMAL | fields), {"kind": kind})


def chat(*parts: Part | str, **fields: Any) -> ChatRequest:
    said = tuple(Text(text=part) if isinstance(part, str) else part for part in parts or ("hi",))
    return ChatRequest(model="m", messages=(Message(role="user", parts=said),), **fields)


def talk(*messages: tuple[str, tuple[Part, ...]], **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=tuple(Message(role=role, parts=parts) for role, parts in messages), **fields)  # type: ignore[arg-type]


def text(value: str) -> tuple[Part, ...]:
    return (Text(text=value),)


CLAUDE_CODE: dict[str, Any] = {
    "model": "any-model",
    "max_tokens": 32_000,
    "stream": True,
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "medium"},
    "metadata": {"user_id": "user_x_account__session_y"},
    "system": [{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "tools": [
        {
            "name": "Bash",
            "description": "Run",
            "input_schema": {"$schema": "x", "type": "object", "properties": {}},
            "eager_input_streaming": True,
        }
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
        {"role": "system", "content": "Be careful."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a", "is_error": False}]},
    ],
}

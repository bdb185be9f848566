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
from llm_gateway.wires.gemini_generate import DIALECT

FACTS = ModelFacts(upstream_id="gemini-x")


LEVEL = ModelFacts(upstream_id="gemini-x", thinking="level")


BUDGET = ModelFacts(upstream_id="gemini-x", thinking="budget")


USER = {"role": "user", "parts": [{"text": "hi"}]}


DUMMY = "skip_thought_signature_validator"


def inbound(kind: str = "chat", stream: str = "", **fields: Any) -> Inbound:
    return DIALECT.decode_request(json.dumps({"contents": [USER]} | fields), {"kind": kind, "model": "m", "stream": stream})


def chat(*parts: Part | str, **fields: Any) -> ChatRequest:
    said = tuple(Text(text=part) if isinstance(part, str) else part for part in parts or ("hi",))
    return ChatRequest(model="m", messages=(Message(role="user", parts=said),), **fields)


def talk(*messages: tuple[str, tuple[Part, ...]], **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=tuple(Message(role=role, parts=parts) for role, parts in messages), **fields)  # type: ignore[arg-type]


def text(value: str) -> tuple[Part, ...]:
    return (Text(text=value),)


GEMINI_CLI: dict[str, Any] = {
    "contents": [
        {"role": "user", "parts": [{"text": "context"}]},
        {"role": "user", "parts": [{"text": "list files"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Looking", "thought": True, "thoughtSignature": "QUJD"},
                {"functionCall": {"name": "ls", "args": {"path": "."}}, "thoughtSignature": DUMMY},
                {"functionCall": {"name": "ls", "args": {"path": "/"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "ls", "response": {"output": "a"}}},
                {"functionResponse": {"name": "ls", "response": {"error": "no"}}},
            ],
        },
    ],
    "systemInstruction": {"role": "user", "parts": [{"text": "You are an agent."}]},
    "tools": [{"functionDeclarations": [{"name": "ls", "description": "List", "parametersJsonSchema": {"type": "object"}}]}],
    "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}},
}

"""A whole answer to a caller of this dialect."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse, Choice, FinishReason, Opaque, Refusal, Text, Thinking, ToolCall
from llm_gateway.wires import _call_signatures
from llm_gateway.wires._arguments import as_object
from llm_gateway.wires._base import Reply

from . import usage
from .names import NAME, stop_reason_of
from .signatures import pack


def encode(response: ChatResponse, reply: Reply) -> bytes:
    choice = response.choices[0] if response.choices else Choice()
    refusal = "".join(part.text for part in choice.parts if isinstance(part, Refusal))
    reason = stop_reason_of(choice.finish, choice.raw_finish)
    if refusal and reason == "end_turn":
        reason = stop_reason_of(FinishReason.REFUSAL, None)
    message: dict[str, Any] = {
        "id": message_id(response.id, reply),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": _content(choice, wants_thinking(reply.chat)),
        "stop_reason": reason,
        "stop_sequence": choice.stop_sequence,
        "usage": usage.encode(response.usage, reply.prompt_tokens),
    }
    if refusal:
        message["stop_details"] = refusal_details(refusal)
    return json.dumps(message)


def _content(choice: Choice, thinking: bool) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in _call_signatures.shown(choice.parts):
        match part:
            case Text(text=text) | Refusal(text=text) if text:
                blocks.append({"type": "text", "text": text})
            case Thinking(redacted=None) if thinking:
                signature = pack(part.signature, part.wire, part.id, part.issuer)
                blocks.append({"type": "thinking", "thinking": part.text, "signature": signature})
            case Thinking(redacted=str(data)) if thinking:
                blocks.append({"type": "redacted_thinking", "data": pack(data, part.wire, part.id, part.issuer)})
            case ToolCall():
                blocks.append({"type": "tool_use", "id": part.id, "name": part.name, "input": as_object(part.arguments, part.custom)})
            case Opaque(wire=wire, raw=raw) if wire == NAME:
                blocks.append(raw)
    return blocks


def message_id(upstream: str, reply: Reply) -> str:
    return upstream or f"msg_{reply.request_id}"


def refusal_details(explanation: str) -> dict[str, Any]:
    return {"type": "refusal", "category": None, "explanation": explanation}


def wants_thinking(chat: ChatRequest | None) -> bool:
    """The format shows thinking only to who asked for it; a caller who did not may read
    ``content[0].text``."""
    if chat is None or chat.origin != NAME:
        return True
    wish = chat.reasoning
    return wish is not None and wish.effort != "none" and wish.budget != 0 and wish.include is not False

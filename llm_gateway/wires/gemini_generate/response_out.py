"""A whole answer to a caller of this dialect."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import ChatResponse, Choice
from llm_gateway.wires._base import Reply

from . import usage
from .names import finish_out
from .parts_out import Calls, part_of, wants_thoughts


def encode(response: ChatResponse, reply: Reply) -> bytes:
    calls, thoughts = Calls(), wants_thoughts(reply.chat)
    document: dict[str, Any] = {"candidates": [_candidate(choice, calls, thoughts) for choice in response.choices]}
    if response.usage:
        document["usageMetadata"] = usage.encode(response.usage)
    document["modelVersion"] = reply.model
    document["responseId"] = response.id or reply.request_id
    return json.dumps(document)


def _candidate(choice: Choice, calls: Calls, thoughts: bool) -> dict[str, Any]:
    parts = [encoded for part in choice.parts if (encoded := part_of(part, calls, thoughts)) is not None]
    content: dict[str, Any] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    reason = finish_out(choice.finish, choice.raw_finish) if choice.finish else "STOP"
    return {"content": content, "finishReason": reason, "index": choice.index}

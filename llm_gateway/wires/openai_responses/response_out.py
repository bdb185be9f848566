"""The response object and its items, as a caller of this dialect expects them."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core.chat import (
    ChatResponse,
    FinishReason,
    Image,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from llm_gateway.core.json import dumps
from llm_gateway.wires import _call_signatures
from llm_gateway.wires._base import Reply
from llm_gateway.wires._openai.ids import call_id

from . import resource
from .names import NAME, made_id, pack

_INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}


class Names:
    """Ids of one answer, and where the caller's tools live."""

    __slots__ = ("_spaces", "request_id", "response")

    def __init__(self, own: str, reply: Reply) -> None:
        self.request_id = reply.request_id
        self.response = own if own.startswith("resp") else f"resp_{reply.request_id}"
        tools = reply.chat.tools if reply.chat else ()
        self._spaces: dict[str, Tool] = {tool.name: tool for tool in tools if tool.raw and "namespace" in tool.raw and not tool.builtin}

    def item(self, kind: str, index: int) -> str:
        return made_id(kind, self.request_id, index)

    def call(self, own: str, index: int) -> str:
        return own or call_id(self.request_id, 0, index)

    def function(self, name: str) -> dict[str, str]:
        """A flat name as the caller gave it: name and namespace."""
        tool = self._spaces.get(name)
        return {"name": tool.raw["name"], "namespace": tool.raw["namespace"]} if tool and tool.raw else {"name": name}


def message(item_id: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def reasoning(item_id: str, text: str, token: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
    if token is not None:
        item["encrypted_content"] = token
    return item


def token_of(signature: str | None, redacted: str | None, wire: str | None, issuer: str | None = None) -> str | None:
    if redacted is not None:
        return pack(redacted, wire, redacted=True, issuer=issuer)
    return pack(signature, wire, redacted=False, issuer=issuer) if signature is not None else None


def call_item(names: Names, call: ToolCall, item_id: str, call_id: str, status: str) -> dict[str, Any]:
    head = {"id": item_id, "status": status, "call_id": call_id}
    if call.custom:
        return head | {"type": "custom_tool_call", **names.function(call.name), "input": call.arguments}
    return head | {"type": "function_call", **names.function(call.name), "arguments": call.arguments}


def part_item(part: Part, item_id: str) -> dict[str, Any] | None:
    """A whole part that is an item of its own; ``None`` for what this dialect cannot show."""
    match part:
        case Image(data=str(data)):
            return {"id": item_id, "type": "image_generation_call", "status": "completed", "result": data} | (
                {"output_format": part.media_type.removeprefix("image/")} if part.media_type else {}
            )
        case Opaque(wire=wire) if wire == NAME:
            return part.raw
        case _:
            return None


def items(names: Names, parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    content: list[dict[str, Any]] | None = None
    calls = 0
    for part in _call_signatures.shown(parts):
        at = len(found)
        if isinstance(part, Text | Refusal):
            if content is None:
                content = []
                found.append(message(names.item("msg", at), content, "completed"))
            content.append(text_part(part.text) if isinstance(part, Text) else refusal_part(part.text))
            continue
        content = None
        if isinstance(part, Thinking):
            own = part.id if part.id and part.wire == NAME else names.item("rs", at)
            found.append(reasoning(own, part.text, token_of(part.signature, part.redacted, part.wire, part.issuer)))
        elif isinstance(part, ToolCall):
            whole = part if part.arguments or part.custom else msgspec.structs.replace(part, arguments="{}")
            found.append(call_item(names, whole, names.item("ctc" if part.custom else "fc", at), names.call(part.id, calls), "completed"))
            calls += 1
        elif (item := part_item(part, names.item("ig", at))) is not None:
            found.append(item)
    return found


def status_of(finish: FinishReason | None, explained: bool = False) -> tuple[str, dict[str, Any] | None]:
    """Status and incomplete details. ``explained``: a refusal has its words in the output; one
    without would look like an answer."""
    if finish is FinishReason.REFUSAL and not explained:
        finish = FinishReason.CONTENT_FILTER
    if finish in _INCOMPLETE:
        return "incomplete", {"reason": _INCOMPLETE[finish]}
    return ("failed" if finish is FinishReason.MODEL_FAULT else "completed"), None


def failed_error(finish: FinishReason | None) -> dict[str, Any] | None:
    if finish is FinishReason.MODEL_FAULT:
        return {"code": "server_error", "message": "The model's answer ended with a fault."}
    return None


def encode_response(response: ChatResponse, reply: Reply) -> bytes:
    names = Names(response.id, reply)
    choice = response.choices[0] if response.choices else None
    finish = choice.finish if choice else None
    status, incomplete = status_of(finish, choice is not None and any(isinstance(part, Refusal) for part in choice.parts))
    return dumps(
        resource.response_object(
            names.response,
            reply,
            response.created if response.created is not None else reply.created,
            status,
            items(names, choice.parts if choice else ()),
            completed=reply.created,
            usage=response.usage,
            error=failed_error(finish),
            incomplete=incomplete,
        )
    )

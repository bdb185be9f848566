"""The response object as the Open Responses schema has it: whole in every event that carries it,
and repeating what was asked.

Strict clients check every field. https://github.com/openresponses/openresponses,
schema/responses.tsp
"""

from __future__ import annotations

from typing import Any, Final

from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import Reply
from llm_gateway.wires._openai.usage import encode_responses_usage
from llm_gateway.wires._tiers import answered

from . import request_out
from .names import INSTRUCTIONS, NAME

# What holds where nothing was asked.
_UNASKED: Final[dict[str, Any]] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
    "safety_identifier": None,
    "prompt_cache_key": None,
}
_REPEATED: Final = (
    INSTRUCTIONS,
    "max_tool_calls",
    "metadata",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "top_logprobs",
    "truncation",
)


def response_object(
    response_id: str,
    reply: Reply,
    created: int,
    status: str,
    output: list[dict[str, Any]],
    *,
    completed: int | None = None,
    usage: Usage | None = None,
    error: dict[str, Any] | None = None,
    incomplete: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """``completed``: Unix seconds at which a finished answer was complete."""
    body: dict[str, Any] = {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "completed_at": max(created, completed) if completed is not None and status == "completed" else None,
        "status": status,
        "error": error,
        "incomplete_details": incomplete,
        "model": reply.model,
        "output": output,
        "usage": encode_responses_usage(usage) if usage else None,
        **_UNASKED,
        "service_tier": _tier(usage, reply.chat),
    }
    if usage and usage.web_searches is not None:
        body["tool_usage"] = {"web_search": {"num_requests": usage.web_searches}}
    if reply.chat:
        body |= asked(reply.chat)
    return body


def _tier(usage: Usage | None, chat: ChatRequest | None) -> str:
    """The tier that served; until the provider said which, the one that was asked for."""
    told = usage.service_tier if usage is not None else None
    if told is None and chat is not None:
        told = chat.service_tier or chat.hints.get("service_tier")
    return answered(NAME, told) or "default" if isinstance(told, str) else "default"


def asked(chat: ChatRequest) -> dict[str, Any]:
    """What the caller asked for, which the object repeats."""
    said = chat.extras | chat.hints
    plain = {
        "max_output_tokens": chat.max_tokens,
        "parallel_tool_calls": chat.parallel_tool_calls,
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "presence_penalty": chat.presence_penalty,
        "frequency_penalty": chat.frequency_penalty,
        "user": chat.user,
        "tool_choice": chat.extras.get("tool_choice") or (request_out.tool_choice_to(chat.tool_choice, chat) if chat.tool_choice else None),
        **{name: said.get(name) for name in _REPEATED},
    }
    found = {name: value for name, value in plain.items() if value is not None}
    if chat.reasoning:
        found["reasoning"] = {"effort": chat.reasoning.effort, "summary": chat.reasoning.summary}
    if shape := request_out.format_to(chat.response_format):
        found["text"] = {"format": {"description": None, "strict": False, **shape} if shape["type"] == "json_schema" else shape}
    if (verbosity := chat.extras.get("verbosity")) is not None:
        found["text"] = found.get("text", _UNASKED["text"]) | {"verbosity": verbosity}
    if chat.tools:
        found["tools"] = [_declared(tool) for tool in request_out.tools_to(list(chat.tools), chat)]
    return found


def _declared(tool: dict[str, Any]) -> dict[str, Any]:
    """Functions with every field present."""
    return {"description": None, "parameters": None, "strict": None, **tool} if tool["type"] == "function" else tool

"""The neutral conversation as a chat-completions body, for OpenAI and for any host that speaks its
format."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llm_gateway.core.chat import ChatRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from llm_gateway.wires import _capabilities
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires._fitting import fit
from llm_gateway.wires._openai import facts as can
from llm_gateway.wires._openai import inbound

from .limits import LIMITS
from .messages_out import messages_to

NAME: Final = "openai_chat"
_TARGET = "OpenAI's chat format"
# A free-text tool where a host knows functions only; the answer is unpacked again (_held_calls.py).
_FREE_TEXT: Final = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
# Hints of the Responses dialect that mean the same here.
_SHARED_HINTS = ("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "service_tier")


def encode_request(chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
    _capabilities.check(chat, facts)
    # A host may take longer or shorter ids of end users than OpenAI.
    chat = fit(chat, msgspec.structs.replace(LIMITS, user_chars=facts.user_limit), facts.issuer)
    body: dict[str, Any] = {"model": facts.upstream_id, "messages": messages_to(chat, facts)}
    tools, choice = can.offered(chat, NAME, facts)
    if tools:
        body["tools"] = [_tool(tool, chat, facts) for tool in tools]
    if choice:
        body["tool_choice"] = _tool_choice(choice, chat, facts)
    plain: dict[str, Any] = {
        "parallel_tool_calls": chat.parallel_tool_calls if chat.tools else None,
        facts.max_tokens_field: chat.max_tokens,
        "stop": list(chat.stop) or None,
        "seed": chat.seed,
        "n": chat.n if chat.n > 1 else None,
        "response_format": _format(chat.response_format),
        "service_tier": chat.service_tier,
    }
    body.update((name, value) for name, value in plain.items() if value is not None)
    body.update(_capabilities.sampling(chat, facts, "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"))
    body.update(_reasoning(chat.reasoning, facts))
    if chat.stream:
        body["stream"] = True
        if chat.include_usage and facts.stream_usage:
            body["stream_options"] = {"include_usage": True}
    _put_back(body, chat, facts)
    return body


def _put_back(body: dict[str, Any], chat: ChatRequest, facts: ModelFacts) -> None:
    """What the caller sent beside the neutral fields."""
    if chat.origin == NAME:
        body.update(chat.extras)
        hints = dict(chat.hints)
    else:
        extras = dict(chat.extras)
        if chat.origin == "openai_responses":
            for name in ("verbosity", "logit_bias", "top_logprobs", "moderation"):
                if name in extras:
                    body[name] = extras.pop(name)
            if "top_logprobs" in body:
                body["logprobs"] = True
            hints = {name: chat.hints[name] for name in _SHARED_HINTS if name in chat.hints}
        else:
            hints = {}
        inbound.refuse_other_origin(extras, _TARGET)
    if facts.drop_hints:
        return
    if chat.user is not None:
        body["user"] = can.short_user(chat.user, facts)
    options = hints.pop("stream_options", None)
    if chat.stream and facts.stream_usage and isinstance(options, dict):
        body["stream_options"] = options | body.get("stream_options", {})
    body.update(hints)


def _tool(tool: Tool, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
    if tool.builtin:
        return tool.raw or {"type": tool.builtin}
    if tool.custom and not facts.openai_tools:
        return {
            "type": "function",
            "function": can.without_none(name=tool.name, description=tool.description, parameters=_FREE_TEXT),
        }
    if tool.custom:
        return {
            "type": "custom",
            "custom": can.without_none(name=tool.name, description=tool.description, format=_custom_format(tool, chat)),
        }
    return {
        "type": "function",
        "function": can.without_none(name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict),
    }


def _custom_format(tool: Tool, chat: ChatRequest) -> dict[str, Any] | None:
    if tool.format and chat.origin == "openai_responses" and tool.format.get("type") == "grammar":
        # The Responses format is flat, the chat format nests the grammar.
        return {"type": "grammar", "grammar": {name: value for name, value in tool.format.items() if name != "type"}}
    return tool.format


def _tool_choice(choice: ToolChoice, chat: ChatRequest, facts: ModelFacts) -> Any:
    custom = {tool.name for tool in chat.tools if tool.custom and facts.openai_tools}

    def named(name: str) -> dict[str, Any]:
        kind = "custom" if name in custom else "function"
        return {"type": kind, kind: {"name": name}}

    if choice.mode == "tool":
        return named(choice.name or "")
    if choice.allowed:
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": [named(name) for name in choice.allowed]}}
    return choice.mode


def _format(wish: ResponseFormat | None) -> dict[str, Any] | None:
    if wish is None:
        return None
    if wish.kind == "json_schema":
        schema = can.without_none(name=wish.name or "response", description=wish.description, schema=wish.schema, strict=wish.strict)
        return {"type": "json_schema", "json_schema": schema}
    return {"type": "json_object" if wish.kind == "json" else "text"}


def _reasoning(reasoning: Reasoning | None, facts: ModelFacts) -> dict[str, Any]:
    if reasoning is None or facts.thinking == "none":
        # A model that does not think has nothing to set; agents send the wish to every model alike.
        return {}
    if facts.thinking == "budget" and reasoning.effort is None and reasoning.budget is not None:
        if reasoning.budget == 0:
            return {"thinking": {"type": "disabled"}}
        return {"thinking": {"type": "enabled"} | ({"budget_tokens": reasoning.budget} if reasoning.budget > 0 else {})}
    effort = can.effort_of(reasoning, facts)
    return {"reasoning_effort": effort} if effort else {}

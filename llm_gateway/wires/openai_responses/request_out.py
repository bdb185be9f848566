"""The neutral conversation as a Responses body."""

from __future__ import annotations

from typing import Any, Final

from llm_gateway.core.chat import ChatRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires import _capabilities
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires._fitting import fit
from llm_gateway.wires._limits import stable_id
from llm_gateway.wires._openai import facts as can
from llm_gateway.wires._openai import inbound
from llm_gateway.wires._openai.facts import without_none

from .items_out import input_of
from .limits import LIMITS
from .names import DROPPABLE, NAME, REASONING_CONTEXT

_TARGET: Final = "OpenAI's Responses format"
# Hints and extras of the chat dialect that mean the same here.
_SHARED_HINTS: Final = (
    "store",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "service_tier",
)
_SHARED_EXTRAS: Final = ("verbosity", "top_logprobs", "moderation")


def encode_request(chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
    _check(chat, facts)
    chat = fit(chat, LIMITS, facts.issuer)
    instructions, items = input_of(chat)
    tools, choice = can.offered(chat, NAME, facts)
    body: dict[str, Any] = {"model": facts.upstream_id, "input": items}
    plain: dict[str, Any] = {
        "instructions": instructions,
        "tools": tools_to(tools, chat) or None,
        "tool_choice": tool_choice_to(choice, chat) if choice else None,
        "parallel_tool_calls": chat.parallel_tool_calls if chat.tools else None,
        "max_output_tokens": chat.max_tokens,
        "reasoning": _reasoning(chat.reasoning, facts) or None,
        "service_tier": chat.service_tier,
        "stream": chat.stream or None,
    }
    body.update((name, value) for name, value in plain.items() if value is not None)
    own = ("presence_penalty", "frequency_penalty") if chat.origin == NAME else ()
    body.update(_capabilities.sampling(chat, facts, "temperature", "top_p", *own))
    if text := format_to(chat.response_format):
        body["text"] = {"format": text}
    _put_back(body, chat, facts)
    return body


def _check(chat: ChatRequest, facts: ModelFacts) -> None:
    _capabilities.check(chat, facts)
    given = {
        "n": chat.n > 1,
        "stop": bool(chat.stop),
        "seed": chat.seed is not None,
        "top_k": chat.top_k is not None,
        "presence_penalty": bool(chat.presence_penalty),
        "frequency_penalty": bool(chat.frequency_penalty),
    }
    for name, is_given in given.items():
        if is_given and chat.origin != NAME:
            raise UnsupportedParameter(f"`{name}` cannot be sent to a provider that speaks {_TARGET}; leave it out.", param=name)


def _put_back(body: dict[str, Any], chat: ChatRequest, facts: ModelFacts) -> None:
    extras = dict(chat.extras)
    hints: dict[str, Any] = {}
    if chat.origin == NAME:
        hints = dict(chat.hints)
        if REASONING_CONTEXT in hints:
            body["reasoning"] = {**body.get("reasoning", {}), "context": hints.pop(REASONING_CONTEXT)}
    elif chat.origin == "openai_chat":
        hints = {name: chat.hints[name] for name in _SHARED_HINTS if name in chat.hints}
        extras.pop("logprobs", None)
        kept: dict[str, Any] = {name: extras.pop(name) for name in _SHARED_EXTRAS if name in extras}
        inbound.refuse_other_origin(extras, _TARGET)
        extras = kept
    else:
        inbound.refuse_other_origin(extras, _TARGET)
    if (verbosity := extras.pop("verbosity", None)) is not None:
        body.setdefault("text", {})["verbosity"] = verbosity
    if isinstance(more := extras.pop("reasoning", None), dict):
        body["reasoning"] = more | body.get("reasoning", {})
    body.update(extras)
    if chat.user is not None and not facts.drop_hints:
        body["user"] = chat.user
    body.update((name, value) for name, value in hints.items() if not (facts.drop_hints and name in DROPPABLE))
    if chat.origin != NAME:
        # The other formats keep nothing at the provider; without storage the thoughts have to
        # travel with the conversation.
        body.setdefault("store", False)
        if chat.session and not facts.drop_hints:
            body.setdefault("prompt_cache_key", stable_id(chat.session))
        if facts.thinking != "none":
            body["include"] = ["reasoning.encrypted_content"]


def tools_to(offered: list[Tool], chat: ChatRequest) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    spaces: dict[str, dict[str, Any]] = {}
    for tool in offered:
        if tool.builtin:
            tools.append(tool.raw or {"type": tool.builtin})
        elif tool.raw and "namespace" in tool.raw:
            space = spaces.get(tool.raw["namespace"])
            if space is None:
                space = {"type": "namespace"} | without_none(name=tool.raw["namespace"], description=tool.raw["about"]) | {"tools": []}
                spaces[tool.raw["namespace"]] = space
                tools.append(space)
            space["tools"].append(_tool(tool, tool.raw["name"], chat))
        else:
            tools.append(_tool(tool, tool.name, chat))
    return tools


def _tool(tool: Tool, name: str, chat: ChatRequest) -> dict[str, Any]:
    if tool.custom:
        return {"type": "custom"} | without_none(name=name, description=tool.description, format=_custom_format(tool, chat))
    body = {"type": "function"} | without_none(name=name, description=tool.description, parameters=tool.parameters, strict=tool.strict)
    if chat.origin != NAME:
        # Here a function is strict unless it says otherwise; in the other formats it is not.
        # Parameters are required.
        body.setdefault("strict", False)
        body.setdefault("parameters", {"type": "object", "properties": {}})
    return body


def _custom_format(tool: Tool, chat: ChatRequest) -> dict[str, Any] | None:
    match tool.format:
        case {"type": "grammar", "grammar": dict(grammar)} if chat.origin != NAME:
            return {"type": "grammar", **grammar}
        case _:
            return tool.format


def tool_choice_to(choice: ToolChoice, chat: ChatRequest) -> Any:
    by_name = {tool.name: tool for tool in chat.tools}

    def named(name: str) -> dict[str, Any]:
        tool = by_name.get(name)
        body: dict[str, Any] = {"type": "custom" if tool and tool.custom else "function", "name": name}
        if tool and tool.raw and "namespace" in tool.raw and not tool.builtin:
            body |= {"name": tool.raw["name"], "namespace": tool.raw["namespace"]}
        return body

    if choice.mode == "tool":
        return named(choice.name or "")
    if choice.allowed:
        return {"type": "allowed_tools", "mode": choice.mode, "tools": [named(name) for name in choice.allowed]}
    return choice.mode


def format_to(wish: ResponseFormat | None) -> dict[str, Any] | None:
    if wish is None:
        return None
    if wish.kind == "json_schema":
        return {"type": "json_schema"} | without_none(
            name=wish.name or "response", description=wish.description, schema=wish.schema, strict=wish.strict
        )
    return {"type": "json_object" if wish.kind == "json" else "text"}


def _reasoning(reasoning: Reasoning | None, facts: ModelFacts) -> dict[str, Any]:
    if reasoning is None or facts.thinking == "none":
        # A model that does not think has nothing to set; agents send the wish to every model alike.
        return {}
    summary = reasoning.summary or ("auto" if reasoning.include else None)
    return without_none(effort=can.effort_of(reasoning, facts), summary=summary)

"""A caller's request as the neutral conversation.

What the noun does not hold is sorted in two: fields whose absence changes nothing in the answer are
hints and other wires leave them out; every other field, known or not, is an extra and other wires
refuse it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, Message, Reasoning, ResponseFormat, Tool, ToolChoice
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import _typed

from .blocks_in import cache_of, parts_of
from .names import NAME
from .schema import RequestIn, ThinkingIn, ToolChoiceIn

# Leaving these out keeps more context than asked for (context_management, compaction), or only
# costs money or time.
HINTS = frozenset(
    (
        "cache_control",
        "context_management",
        "compaction",
        "diagnostics",
        "betas",
        "billing_policy",
        "fallbacks",
        "fallback_credit_token",
        "speed",
    )
)
_KNOWN = frozenset(RequestIn.__struct_fields__) - HINTS
_MODES = {"auto": "auto", "any": "required", "tool": "tool", "none": "none"}


class ToolIn(msgspec.Struct):
    name: str
    input_schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


_TOOL = frozenset((*ToolIn.__struct_fields__, "type", "cache_control"))


def chat_of(request: RequestIn, body: bytes) -> ChatRequest:
    fields: dict[str, Any] = json.lenient(body)  # checked and typed already
    rest = {name: value for name, value in fields.items() if name not in _KNOWN and value is not None}
    hints = {name: rest.pop(name) for name in HINTS & rest.keys()}
    for name, known in (("metadata", ("user_id",)), ("output_config", ("effort", "format"))):
        inner = {key: value for key, value in (fields.get(name) or {}).items() if key not in known}
        if inner:
            (hints if name == "metadata" else rest)[name] = inner
    effort = request.output_config.effort if request.output_config else None
    if request.thinking and request.thinking.type in ("disabled", "between_tools"):
        if effort:  # without thinking, effort is only verbosity
            hints["output_config"] = {"effort": effort}
        if request.thinking.type == "between_tools":
            hints["thinking"] = fields["thinking"]
        effort = None
    wanted = request.output_format or (request.output_config.format if request.output_config else None)
    choice = request.tool_choice
    return ChatRequest(
        model=request.model,
        messages=tuple(_messages(request)),
        tools=tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(request.tools or ())),
        tool_choice=_choice(choice) if choice else None,
        parallel_tool_calls=not choice.disable_parallel_tool_use if choice and choice.disable_parallel_tool_use is not None else None,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop=tuple(request.stop_sequences or ()),
        response_format=ResponseFormat(kind="json_schema", schema=wanted.schema) if wanted else None,
        reasoning=_reasoning(request.thinking, effort),
        user=request.metadata.user_id if request.metadata else None,
        service_tier=request.service_tier,
        stream=bool(request.stream),
        include_usage=True,
        extras=rest,
        hints=hints,
        origin=NAME,
    )


def _messages(request: RequestIn) -> list[Message]:
    messages = []
    if request.system and (parts := parts_of(request.system, "system")):
        messages.append(Message(role="system", parts=parts))
    asked_from = max((at for at, message in enumerate(request.messages) if message.role == "assistant"), default=-1)
    for at, message in enumerate(request.messages):
        parts = parts_of(message.content, f"messages[{at}].content", past=at <= asked_from)
        messages.append(Message(role=message.role, parts=parts))
    return messages


def _tool(tool: dict[str, Any], path: str) -> Tool:
    kind = tool.get("type")
    cache = cache_of(tool, path)
    if isinstance(kind, str) and kind != "custom":
        name = tool.get("name")
        return Tool(name=name if isinstance(name, str) else kind, builtin=kind, raw=tool, cache=cache)
    known = _typed.convert(tool, ToolIn, path)
    more = {key: value for key, value in tool.items() if key not in _TOOL}
    return Tool(
        name=known.name,
        description=known.description,
        parameters=known.input_schema,
        strict=known.strict,
        cache=cache,
        raw=more or None,
    )


def _choice(choice: ToolChoiceIn) -> ToolChoice:
    if choice.type == "tool" and not choice.name:
        raise InvalidRequest("tool_choice.name: Field required.", param="tool_choice.name")
    return ToolChoice(mode=_MODES[choice.type], name=choice.name if choice.type == "tool" else None)  # type: ignore[arg-type]  # the table's words


def _reasoning(thinking: ThinkingIn | None, effort: str | None) -> Reasoning | None:
    if thinking is None:
        return Reasoning(effort=effort) if effort else None
    include = None if thinking.display is None else thinking.display == "summarized"
    match thinking.type:
        case "disabled":
            return Reasoning(effort="none")
        case "enabled":
            if thinking.budget_tokens is None:
                raise InvalidRequest("thinking.budget_tokens: Field required.", param="thinking.budget_tokens")
            # Shown unless the caller says otherwise, as the models that take a budget do.
            return Reasoning(effort=effort, budget=thinking.budget_tokens, include=include is not False)
    return Reasoning(effort=effort, budget=-1, include=include)

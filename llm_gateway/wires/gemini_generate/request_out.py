"""The neutral conversation as a body for this format's providers. The model and streaming are in
the path."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.chat import ChatRequest, ResponseFormat, Tool, ToolChoice
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires import _capabilities as capabilities
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires._fitting import fit

from . import contents_out, thinking_out
from .limits import LIMITS
from .names import NAME

_FREE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def encode(chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
    """Raises :class:`UnsupportedParameter` naming the field.

    A wish for one call at a time has no field here; the answer is cut to its first call
    (``one_call``, FirstCallOnly).
    """
    own = chat.origin == NAME
    capabilities.check(chat, facts)
    capabilities.refuse_extras(chat, NAME)
    chat = fit(chat, LIMITS, facts.issuer)
    system, contents = contents_out.encode(chat, facts)
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = system
    choice = chat.tool_choice
    if chat.tools:
        narrowed = choice.allowed if choice and choice.mode == "auto" else ()
        body["tools"] = _tools([tool for tool in capabilities.hosted(chat, NAME) if not narrowed or tool.name in narrowed], own)
        if choice:
            body["toolConfig"] = {"functionCallingConfig": _calling(choice)}
    if config := _config(chat, facts, own):
        body["generationConfig"] = config
    if chat.service_tier:
        body["serviceTier"] = chat.service_tier
    if own:
        _put_back(body, chat.extras)
        if not facts.drop_hints:
            _put_back(body, chat.hints)
    return body


def encode_count(chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
    """The body of a ``countTokens`` call, in the form that counts the system instruction and the
    tools too."""
    body = encode(chat, facts)
    counted = {name: value for name, value in body.items() if name in ("contents", "systemInstruction", "tools", "toolConfig")}
    return {"generateContentRequest": {"model": f"models/{facts.upstream_id}", **counted}}


def _tools(tools: list[Tool], own: bool) -> list[dict[str, Any]]:
    """All functions in one entry, where the first stood."""
    found: list[dict[str, Any]] = []
    declared: list[dict[str, Any]] = []
    for tool in tools:
        if tool.builtin:
            found.append(dict(tool.raw or {}))
            continue
        if not declared:
            found.append({"functionDeclarations": declared})
        declared.append(_function(tool, own))
    return found


def _function(tool: Tool, own: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        body["description"] = tool.description
    schema = _FREE_TEXT if tool.custom else tool.parameters
    if schema is not None:
        body["parametersJsonSchema"] = schema
    return body | (tool.raw if own and tool.raw else {})


def _calling(choice: ToolChoice) -> dict[str, Any]:
    match choice.mode:
        case "auto":
            return {"mode": "AUTO"}
        case "none":
            return {"mode": "NONE"}
        case "tool":
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
        case "required":
            return {"mode": "ANY", "allowedFunctionNames": list(choice.allowed)} if choice.allowed else {"mode": "ANY"}


def _config(chat: ChatRequest, facts: ModelFacts, own: bool) -> dict[str, Any]:
    sampled = capabilities.sampling(chat, facts, "temperature", "top_p", "top_k")
    limit = chat.max_tokens
    if limit is not None and facts.max_output_tokens is not None:
        limit = min(limit, facts.max_output_tokens)
    values: dict[str, Any] = {
        "temperature": sampled.get("temperature"),
        "topP": sampled.get("top_p"),
        "topK": sampled.get("top_k"),
        "candidateCount": chat.n if chat.n > 1 else None,
        "maxOutputTokens": limit,
        "stopSequences": list(chat.stop) or None,
        "presencePenalty": chat.presence_penalty,
        "frequencyPenalty": chat.frequency_penalty,
        "seed": chat.seed,
        "thinkingConfig": thinking_out.encode(chat.reasoning, facts, own=own, shown=chat.origin not in (NAME, "native")) or None,
        **_format(chat.response_format),
    }
    return {name: value for name, value in values.items() if value is not None}


def _format(wanted: ResponseFormat | None) -> dict[str, Any]:
    if wanted is None or wanted.kind == "text":
        return {}
    if wanted.kind == "json":
        return {"responseMimeType": "application/json"}
    if wanted.schema is None:
        raise UnsupportedParameter("A JSON schema answer needs its schema.", param="response_format")
    return {"responseMimeType": "application/json", "responseJsonSchema": wanted.schema}


def _put_back(body: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        both = isinstance(value, dict) and isinstance(body.get(name), dict)
        body[name] = {**body[name], **value} if both else value

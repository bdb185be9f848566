"""The neutral conversation as a body for this format's providers."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, Message, Opaque, ResponseFormat, Text, Tool, ToolChoice
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires import _capabilities as capabilities
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires._fitting import fit
from llm_gateway.wires._schemas import is_open

from . import thinking_out
from .blocks_out import blocks_of, cache_control, keep_breakpoints
from .limits import LIMITS
from .names import NAME

_CHOICE = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}
_JSON_IN_WORDS = "Answer with one JSON object and nothing else: no words around it and no code fence."
_NOTHING_TO_SAY = {"type": "object", "properties": {}}
_FREE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def encode(chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
    """Raises :class:`UnsupportedParameter` naming the field."""
    own = chat.origin == NAME
    _refuse(chat, facts)
    chat = fit(chat, LIMITS, facts.issuer, "messages[{}].content")
    asked = chat.max_tokens
    if asked is not None and facts.max_output_tokens is not None:
        asked = min(asked, facts.max_output_tokens)
    thought = thinking_out.encode(chat.reasoning, facts, asked, own=own)
    system, messages = _conversation(chat, own)
    system = _also(system, _in_words(chat.response_format, own))
    _check_end(messages, chat, facts, own)
    limit = min(thought.max_tokens, facts.max_output_tokens or thought.max_tokens)
    body: dict[str, Any] = {"model": facts.upstream_id, "max_tokens": limit}
    if system:
        body["system"] = system
    body["messages"] = messages
    choice, parallel = chat.tool_choice, chat.parallel_tool_calls
    if chat.tools:
        wanted = choice.allowed if choice else ()
        body["tools"] = [_tool(tool, own) for tool in capabilities.hosted(chat, NAME) if not wanted or tool.name in wanted]
        if choice or parallel is not None:
            body["tool_choice"] = _choice(choice or ToolChoice(mode="auto"), parallel)
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    sampled = _sampling(chat, facts, own)
    on = thought.thinking is not None and thought.thinking["type"] != "disabled"
    if thought.thinking and not (on and (forced or _cools(sampled) or _unsigned_loop(messages, facts))):
        body["thinking"] = thought.thinking
    output: dict[str, Any] = {"effort": thought.effort} if thought.effort else {}
    if wanted_format := _format(chat.response_format, own):
        output["format"] = wanted_format
    if output:
        body["output_config"] = output
    body |= sampled
    if chat.stop:
        body["stop_sequences"] = list(chat.stop)
    if chat.user:
        body["metadata"] = {"user_id": chat.user}
    if chat.service_tier:
        body["service_tier"] = chat.service_tier
    if chat.stream:
        body["stream"] = True
    if own:
        _put_back(body, chat.extras)
        if not facts.drop_hints:
            _put_back(body, chat.hints)
    else:
        keep_breakpoints(body)
    return body


def will_not_think(chat: ChatRequest, facts: ModelFacts) -> bool:
    """Whether a wish to think is given up for the rest of the request: a forced tool, a tool loop
    that other models began, a limit below the least budget, sampling figures."""
    try:
        body = encode(chat, facts)
    except UnsupportedParameter:
        return False
    return facts.thinking in ("budget", "adaptive") and "thinking" not in body


def encode_count(chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
    """The body for ``/v1/messages/count_tokens``, which knows only what adds to the prompt."""
    body = encode(chat, facts)
    counted = ("model", "system", "messages", "tools", "tool_choice", "thinking", "mcp_servers")
    return {name: value for name, value in body.items() if name in counted}


def _refuse(chat: ChatRequest, facts: ModelFacts) -> None:
    capabilities.check(chat, facts)
    capabilities.refuse_extras(chat, NAME)
    if chat.n > 1:
        raise UnsupportedParameter("This provider gives one answer per request.", param="n")
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(chat, name):
            raise UnsupportedParameter("This provider has no penalties.", param=name)
    if chat.seed is not None:
        raise UnsupportedParameter("This provider takes no seed.", param="seed")
    if chat.temperature is not None and chat.temperature > 1:
        raise UnsupportedParameter("This provider takes a temperature from 0 to 1.", param="temperature")


def _conversation(chat: ChatRequest, own: bool) -> tuple[str | list[dict[str, Any]], list[dict[str, Any]]]:
    rest = list(chat.messages)
    head: list[Message] = []
    while rest and rest[0].role == "system":
        head.append(rest.pop(0))
    if head and not rest:  # the format wants a message
        rest.append(Message(role="user", parts=head.pop().parts))
    parts = [part for message in head for part in message.parts]
    match parts:
        case [Text(text=text, cache=None)] if text.strip():
            system: str | list[dict[str, Any]] = text
        case _:
            system = blocks_of(parts, "system", own=own)
    messages: list[dict[str, Any]] = []
    for at, message in enumerate(rest):
        blocks = blocks_of(message.parts, f"messages[{at + len(chat.messages) - len(rest)}].content", own=own)
        _append(messages, message.role, blocks, own)
    for each in messages:
        each["content"] = _order(each["content"])
    return system, messages


def _in_words(wanted: ResponseFormat | None, own: bool) -> str:
    """A wish for JSON that the format has no field for: without a schema, or with one that it
    cannot express."""
    if wanted is None or wanted.kind == "text":
        return ""
    if wanted.schema is None:
        return _JSON_IN_WORDS
    if own or not is_open(wanted.schema, LIMITS):
        return ""
    return f"{_JSON_IN_WORDS} It follows this JSON Schema: {json.dumps(wanted.schema).decode()}"


def _also(system: str | list[dict[str, Any]], text: str) -> str | list[dict[str, Any]]:
    if not text:
        return system
    if isinstance(system, str):
        return f"{system}\n\n{text}" if system else text
    return [*system, {"type": "text", "text": text}]


def _append(messages: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]], own: bool) -> None:
    if role == "system" and not own:
        # Newer models alone know the role inside a conversation; as a marked user text it keeps its
        # place.
        role = "user"
        for block in blocks:
            if block["type"] == "text":
                block["text"] = f"<system>\n{block['text']}\n</system>"
    if not blocks:
        return
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    else:
        messages.append({"role": role, "content": blocks})


def _order(blocks: list[dict[str, Any]]) -> list[dict[str, Any]] | str:
    """Results of calls come first in a turn; a lone text is a string."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _check_end(messages: list[dict[str, Any]], chat: ChatRequest, facts: ModelFacts, own: bool) -> None:
    """A started answer to go on with.
    https://docs.claude.com/en/docs/about-claude/models/migrating-to-claude-4"""
    if not messages or messages[-1]["role"] != "assistant":
        return
    if any(isinstance(part, Opaque) for part in chat.messages[-1].parts):
        return  # a paused turn of provider-side tools is sent back as it is
    modern = facts.thinking in ("adaptive", "effort") or not facts.sampling
    if modern and "prefill" not in facts.capabilities:
        raise UnsupportedParameter("This model does not continue a started answer; end with a user message.", param="messages")
    content = messages[-1]["content"]
    if isinstance(content, str):
        messages[-1]["content"] = content.rstrip()
    elif content[-1]["type"] == "text":
        content[-1]["text"] = content[-1]["text"].rstrip()


def _sampling(chat: ChatRequest, facts: ModelFacts, own: bool) -> dict[str, float]:
    """Newer models refuse temperature and top_p together; the one that says nothing goes."""
    sampled = capabilities.sampling(chat, facts, "temperature", "top_p", "top_k")
    if not own and sampled.keys() >= {"temperature", "top_p"}:
        for name in ("top_p", "temperature"):
            if sampled[name] == 1:
                del sampled[name]
                break
    return sampled


def _cools(sampled: dict[str, float]) -> bool:
    """Thinking goes with none of these; the caller's figures weigh more than a wish to think."""
    return sampled.get("temperature", 1) != 1 or sampled.get("top_p", 1) < 0.95 or "top_k" in sampled


def _unsigned_loop(messages: list[dict[str, Any]], facts: ModelFacts) -> bool:
    """Models with a budget refuse to think on in a tool loop whose turn does not begin with their
    own thinking."""
    if facts.thinking != "budget" or len(messages) < 2 or not isinstance(messages[-1]["content"], list):
        return False
    if messages[-1]["content"][0]["type"] != "tool_result":
        return False
    before = messages[-2]["content"]
    return not (isinstance(before, list) and before[0]["type"] in ("thinking", "redacted_thinking"))


def _tool(tool: Tool, own: bool) -> dict[str, Any]:
    if tool.builtin:
        return dict(tool.raw or {})
    schema = _FREE_TEXT if tool.custom else tool.parameters
    body: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        body["description"] = tool.description
    body["input_schema"] = _NOTHING_TO_SAY if schema is None else schema if own or "type" in schema else {"type": "object", **schema}
    if own and tool.strict is not None:
        body["strict"] = tool.strict
    if own and tool.raw:
        body |= tool.raw
    return body | cache_control(tool.cache)


def _choice(choice: ToolChoice, parallel: bool | None) -> dict[str, Any]:
    body: dict[str, Any] = {"type": _CHOICE[choice.mode]}
    if choice.mode == "tool":
        body["name"] = choice.name
    if parallel is not None and choice.mode != "none":
        body["disable_parallel_tool_use"] = not parallel
    return body


def _format(wanted: ResponseFormat | None, own: bool) -> dict[str, Any] | None:
    if wanted is None or wanted.schema is None:
        return None
    if not own and is_open(wanted.schema, LIMITS):
        return None
    return {"type": "json_schema", "schema": wanted.schema}


def _put_back(body: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        both = isinstance(value, dict) and isinstance(body.get(name), dict)
        body[name] = {**body[name], **value} if both else value

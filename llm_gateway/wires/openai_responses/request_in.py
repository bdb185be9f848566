"""A caller's Responses request: facts for routing at once, the neutral conversation when somebody
asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_gateway.core.chat import ChatRequest, Message, Reasoning, ResponseFormat, Text, Tool
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import _searches, _typed
from llm_gateway.wires._base import Inbound, Once
from llm_gateway.wires._openai import inbound

from . import schema
from .items_in import messages_of, tool_choice_of, tools_of
from .names import HINTS, NAME, NO_EFFECT, PLAIN_TIERS, REASONING_CONTEXT

_body = msgspec.json.Decoder(schema.Body)
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING = object()


def decode_request(body: bytes, path: Mapping[str, str]) -> Inbound:
    request = _typed.decode(body, _body)
    size, needs = _weigh(request, body)
    return Inbound(
        kind=path.get("kind", "chat"),
        dialect=NAME,
        model=request.model,
        stream=bool(request.stream),
        include_usage=True,  # the final object always has it
        max_tokens=request.max_output_tokens,
        n=1,
        size=size,
        needs=needs,
        body=body,
        chat=Once(to_chat, request, body),
        affinity=request.prompt_cache_key or _head(request),
        user=request.user or request.safety_identifier,
        service_tier=request.service_tier,
        searches=_searches.allowed((tool.type, None) for tool in request.tools or ()),
    )


def _weigh(request: schema.Body, body: bytes) -> tuple[int, frozenset[str]]:
    size = len(request.instructions or "")
    needs: set[str] = set()
    if isinstance(request.input, str):
        size += len(request.input)
    else:
        for item in request.input or ():
            size += 16 + _weigh_item(item, needs)
    raw = inbound.fields(body) if request.tools or request.text else {}
    size += sum(len(bytes(raw[name])) for name in ("tools", "text") if name in raw)
    if request.tools:
        needs.add("tools")
    kind = request.text.format.type if request.text and request.text.format else "text"
    if kind in ("json_schema", "json_object"):
        needs.add("json_schema" if kind == "json_schema" else "json")
    if request.reasoning and request.reasoning.get("effort") not in (None, "none"):
        needs.add("reasoning")
    return size, frozenset(needs)


def _weigh_item(item: schema.Item, needs: set[str]) -> int:
    # Encrypted reasoning is billed as the tokens it stands for; base64 of it is about that long.
    size = sum(_chars(value, needs) for value in (item.name, item.arguments, item.input, item.encrypted_content))
    size += sum(_chars(content, needs) for content in (item.content, item.output, item.summary))
    if item.tools:
        needs.add("tools")
        size += len(msgspec.json.encode(item.tools))
    return size


def _chars(value: Any, needs: set[str]) -> int:
    """The weight of text, of a list of content parts, or of whatever else an item holds."""
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_weigh_part(part, needs) if isinstance(part, dict) else _chars(part, needs) for part in value)
    return len(msgspec.json.encode(value))


def _weigh_part(part: dict[str, Any], needs: set[str]) -> int:
    match part:
        case {"type": "input_image"}:
            needs.add("images")
            return inbound.IMAGE_CHARS
        case {"type": "input_file"}:
            needs.add("documents")
            data = part.get("file_data")
            return inbound.document_chars(data if isinstance(data, str) else None)
        case {"type": "input_audio"}:
            needs.add("audio")
            match part:
                case {"input_audio": {"data": str(sound)}}:
                    return inbound.audio_chars(sound)
            return inbound.audio_chars(None)
        case {"text": str(text)} | {"refusal": str(text)}:
            return len(text)
        case _:
            return len(msgspec.json.encode(part))


def _head(request: schema.Body) -> str:
    """The instructions and the first user text: the same in every turn of a session."""
    heads = [(request.instructions or "")[: inbound.AFFINITY_CHARS]]
    if isinstance(request.input, str):
        heads.append(request.input[: inbound.AFFINITY_CHARS])
    else:
        for item in (request.input or ())[:4]:
            heads.append(_text(item.content)[: inbound.AFFINITY_CHARS])
            if item.role == "user":
                break
    return "\n".join(heads)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def to_chat(request: schema.Body, body: bytes) -> ChatRequest:
    extras = {name: value for name, value in inbound.unknown(body, schema.KNOWN).items() if NO_EFFECT.get(name, _NOTHING) != value}
    hints = {name: extras.pop(name) for name in HINTS & extras.keys()}
    tier = request.service_tier
    if tier in PLAIN_TIERS:
        hints["service_tier"], tier = tier, None
    if request.text and request.text.verbosity is not None:
        extras["verbosity"] = request.text.verbosity
    reasoning, rest = _reasoning(request.reasoning)
    if (context := rest.pop("context", None)) is not None:
        hints[REASONING_CONTEXT] = context
    if rest:
        extras["reasoning"] = rest
    choice = tool_choice_of(request.tool_choice)
    if request.tool_choice is not None and choice is None:
        extras["tool_choice"] = request.tool_choice
    return ChatRequest(
        model=request.model,
        messages=_messages(request, body),
        tools=_tools(request, body),
        tool_choice=choice,
        parallel_tool_calls=request.parallel_tool_calls,
        max_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        response_format=_format(request.text.format if request.text else None),
        reasoning=reasoning,
        user=request.user,
        service_tier=tier,
        stream=bool(request.stream),
        include_usage=True,
        extras=extras,
        hints=hints,
        origin=NAME,
    )


def _messages(request: schema.Body, body: bytes) -> tuple[Message, ...]:
    head = (Message(role="system", parts=(Text(text=request.instructions),)),) if request.instructions else ()
    if request.input is None:
        return head
    if isinstance(request.input, str):
        return (*head, Message(role="user", parts=(Text(text=request.input),) if request.input else ()))
    return (*head, *messages_of(request.input, _raws.decode(inbound.fields(body)["input"])))


def _tools(request: schema.Body, body: bytes) -> tuple[Tool, ...]:
    found: list[Tool] = []
    if request.tools:
        found += tools_of(inbound.value_of(inbound.fields(body)["tools"]), "tools")
    for position, item in enumerate(request.input if isinstance(request.input, list) else ()):
        # Newer clients bring tools in the middle of the conversation; a tool told again replaces
        # the one before.
        if item.type == "additional_tools" and item.tools:
            for tool in tools_of(item.tools, f"input[{position}].tools"):
                found = [known for known in found if known.name != tool.name] + [tool]
    return tuple(found)


def _reasoning(wish: dict[str, Any] | None) -> tuple[Reasoning | None, dict[str, Any]]:
    """The neutral wish, and what only this format knows of it."""
    rest = {name: value for name, value in (wish or {}).items() if value is not None}
    effort = rest.pop("effort", None)
    summary = rest.pop("summary", None) or rest.pop("generate_summary", None)
    for name, value in (("effort", effort), ("summary", summary)):
        if value is not None and not isinstance(value, str):
            raise InvalidRequest(f"reasoning.{name}: Expected `str`.", param=f"reasoning.{name}")
    if effort is None and summary is None:
        return None, rest
    return Reasoning(effort=effort, summary=summary, include=True if summary else None), rest


def _format(wish: schema.Format | None) -> ResponseFormat | None:
    match wish:
        case None:
            return None
        case schema.Format(type="text"):
            return ResponseFormat(kind="text")
        case schema.Format(type="json_object"):
            return ResponseFormat(kind="json")
        case schema.Format(type="json_schema"):
            return ResponseFormat(kind="json_schema", name=wish.name, schema=wish.schema, strict=wish.strict, description=wish.description)
        case _:
            raise InvalidRequest("text.format.type must be text, json_object or json_schema.", param="text.format.type")

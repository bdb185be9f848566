"""Messages, parts and tools of a caller's chat request, as neutral values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from llm_gateway.core.chat import Audio, Document, Image, Message, Part, Refusal, Text, Thinking, Tool, ToolCall, ToolChoice, ToolResult
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.core.json import dumps
from llm_gateway.wires._issuers import unwrapped
from llm_gateway.wires._openai import inbound
from llm_gateway.wires._openai.ids import call_id

from . import schema
from .calls import signature_of
from .odd_parts import Bodies, thought_of


def tools_of(tools: list[schema.InTool] | None, raw: Mapping[str, msgspec.Raw]) -> tuple[Tool, ...]:
    found: list[Tool] = []
    bodies: list[Any] | None = None
    for position, tool in enumerate(tools or ()):
        cache = _cache(tool.cache_control)
        if tool.type == "function" and tool.name and not tool.function:
            found.append(Tool(name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict, cache=cache))
        elif tool.type == "custom" and tool.name and not tool.custom:
            found.append(Tool(name=tool.name, description=tool.description, format=tool.format, custom=True, cache=cache))
        elif tool.type == "function" and tool.function:
            f = tool.function
            found.append(Tool(name=f.name, description=f.description, parameters=f.parameters, strict=f.strict, cache=cache))
        elif tool.type == "custom" and tool.custom:
            c = tool.custom
            found.append(Tool(name=c.name, description=c.description, format=c.format, custom=True, cache=cache))
        elif tool.type in ("function", "custom"):
            raise InvalidRequest(f"tools[{position}].{tool.type} is missing.", param=f"tools[{position}].{tool.type}")
        else:
            bodies = bodies or inbound.value_of(raw["tools"])
            found.append(Tool(name=tool.type, builtin=tool.type, raw=bodies[position]))
    return tuple(found)


def functions_of(functions: list[schema.FunctionTool] | None) -> tuple[Tool, ...]:
    """The tools of the format's first years."""
    return tuple(Tool(name=f.name, description=f.description, parameters=f.parameters, strict=f.strict) for f in functions or ())


def function_choice_of(choice: str | dict[str, Any] | None) -> ToolChoice | None:
    match choice:
        case None:
            return None
        case "auto" | "none":
            return ToolChoice(mode=choice)
        case {"name": str(name)}:
            return ToolChoice(mode="tool", name=name)
        case _:
            raise InvalidRequest("function_call must be none, auto or an object with a name.", param="function_call")


def tool_choice_of(choice: str | dict[str, Any] | None) -> ToolChoice | None:
    """``None`` for what has no neutral form."""
    match choice:
        case "auto" | "none" | "required":
            return ToolChoice(mode=choice)
        case "any":  # Mistral's word
            return ToolChoice(mode="required")
        case {"type": "function", "function": {"name": str(name)}} | {"type": "custom", "custom": {"name": str(name)}}:
            return ToolChoice(mode="tool", name=name)
        case {"type": "function" | "custom", "name": str(name)}:  # the flat form of the Responses format
            return ToolChoice(mode="tool", name=name)
        case {"type": "allowed_tools", "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list(tools)}}:
            names = tuple(found for tool in tools if (found := _allowed_name(tool)))
            return ToolChoice(mode=mode, allowed=names) if len(names) == len(tools) else None
        case None:
            return None
        case str():
            raise InvalidRequest("tool_choice must be none, auto, required or an object.", param="tool_choice")
        case _:
            return None


def _allowed_name(tool: Any) -> str | None:
    match tool:
        case {"type": "function", "function": {"name": str(name)}} | {"type": "custom", "custom": {"name": str(name)}}:
            return name
        case _:
            return None


def _cache(control: schema.CacheControl | None) -> str | None:
    return (control.ttl or "5m") if control else None


def messages_of(messages: list[schema.InMessage], raw: Mapping[str, msgspec.Raw]) -> Iterator[Message]:
    bodies = Bodies(messages, raw)
    results: list[Part] = []
    custom: set[str] = set()
    called: list[ToolCall] = []
    for position, message in enumerate(messages):
        at = f"messages[{position}]"
        if message.role == "tool":
            results.append(_tool_result(message, custom, bodies, position))
            continue
        if message.role == "function":
            content = tuple(_parts(message.content, bodies, position))
            results.append(ToolResult(call_id=_legacy_id(message.name, called), content=content, name=message.name))
            continue
        if results:
            yield Message(role="user", parts=tuple(results))
            results = []
        match message.role:
            case "system" | "developer":
                yield Message(role="system", parts=tuple(_parts(message.content, bodies, position)), name=message.name)
            case "user":
                yield Message(role="user", parts=tuple(_parts(message.content, bodies, position)), name=message.name)
            case "assistant":
                parts = tuple(_assistant_parts(message, bodies, position))
                if message.function_call:
                    called.append(_legacy_call(message.function_call, len(called)))
                    parts += (called[-1],)
                custom.update(part.id for part in parts if isinstance(part, ToolCall) and part.custom)
                yield Message(role="assistant", parts=parts, name=message.name)
            case _:
                raise InvalidRequest(f"{at}.role must be system, developer, user, assistant or tool.", param=f"{at}.role")
    if results:
        yield Message(role="user", parts=tuple(results))


def _tool_result(message: schema.InMessage, custom: set[str], bodies: Bodies, position: int) -> ToolResult:
    at = f"messages[{position}]"
    if message.tool_call_id is None:
        raise InvalidRequest(f"{at}.tool_call_id is missing.", param=f"{at}.tool_call_id")
    return ToolResult(
        call_id=message.tool_call_id,
        content=tuple(_parts(message.content, bodies, position)),
        name=message.name,
        custom=message.tool_call_id in custom,
    )


def _assistant_parts(message: schema.InMessage, bodies: Bodies, position: int) -> Iterator[Part]:
    for name in ("audio", "prefix", "partial"):
        if getattr(message, name):
            yield from bodies.field(position, name)
    if thought := thought_of(message.reasoning_content) or thought_of(message.reasoning):
        yield Thinking(text=thought)
    yield from _parts(message.content, bodies, position)
    if isinstance(message.images, list):
        yield from bodies.pictures(position)
    if message.refusal:
        yield Refusal(text=message.refusal)
    for place, call in enumerate(message.tool_calls or ()):
        yield _call(call, bodies, position, place)


def _legacy_call(call: schema.FunctionCall, number: int) -> ToolCall:
    """Calls had no ids; the newer formats bind a result by one."""
    arguments = call.arguments
    text = arguments if isinstance(arguments, str) else dumps(arguments or {}).decode()
    return ToolCall(id=call_id(f"function:{call.name}", 0, number), name=call.name, arguments=text)


def _legacy_id(name: str | None, called: list[ToolCall]) -> str:
    """The last call of that name is the one that is answered."""
    return next((call.id for call in reversed(called) if call.name == name), called[-1].id if called else call_id("function", 0, 0))


def _call(call: schema.Call, bodies: Bodies, position: int, place: int) -> Part:
    if call.custom:
        return ToolCall(id=call.id or "", name=call.custom.name, arguments=call.custom.input, custom=True)
    if not call.function:
        return bodies.call(position, place)
    arguments = call.function.arguments
    signature, issuer = unwrapped(signature_of(call.extra_content) or "")
    return ToolCall(
        id=call.id or "",
        name=call.function.name,
        arguments=arguments if isinstance(arguments, str) else dumps(arguments or {}).decode(),
        signature=signature or None,
        issuer=issuer,
    )


def _parts(content: str | list[schema.ContentPart] | None, bodies: Bodies, position: int) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(text=content)
        return
    for place, part in enumerate(content or ()):
        yield _part(part, f"messages[{position}].content[{place}]") or bodies.part(position, place, part.type)


def _part(part: schema.ContentPart, at: str) -> Part | None:
    """``None`` for a part that is no plain one or lacks what its type has."""
    cache = _cache(part.cache_control)
    match part:
        case schema.ContentPart(type="text" | "input_text" | "output_text", text=str(text)):
            return Text(text=text, cache=cache)
        case schema.ContentPart(type="refusal", refusal=str(text)):
            return Refusal(text=text)
        case schema.ContentPart(type="image_url" | "input_image", image_url=str(url)):
            return _image(url, None, cache)
        case schema.ContentPart(type="image_url", image_url=schema.ImageUrl() as image):
            return _image(image.url, image.detail, cache)
        case schema.ContentPart(type="input_audio", input_audio=schema.InputAudio() as audio):
            return Audio(data=audio.data, format=audio.format)
        case schema.ContentPart(type="file", file=schema.File() as file):
            return _document(file, at, cache)
    return None


def _image(url: str, detail: str | None, cache: str | None) -> Image:
    if split := inbound.split_data_url(url):
        return Image(media_type=split[0], data=split[1], detail=detail, cache=cache)
    return Image(url=url, detail=detail, cache=cache)


def _document(file: schema.File, at: str, cache: str | None) -> Document:
    if file.file_id is not None:
        return Document(file_id=file.file_id, name=file.filename, cache=cache)
    if file.file_data is None:
        raise InvalidRequest(f"{at}.file needs file_data or file_id.", param=f"{at}.file")
    media_type, data = inbound.split_data_url(file.file_data) or ("application/pdf", file.file_data)
    return Document(media_type=media_type, data=data, name=file.filename, cache=cache)

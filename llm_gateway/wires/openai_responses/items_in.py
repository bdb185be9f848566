"""Input items and tools of a caller's Responses request, as neutral values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from llm_gateway.core.chat import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.core.json import dumps
from llm_gateway.wires import _typed
from llm_gateway.wires._openai import inbound

from . import schema
from .names import NAME, qualified, unpack
from .plain import plain_words


def messages_of(items: list[schema.Item], raws: list[msgspec.Raw]) -> Iterator[Message]:
    """What the model said in a turn is several items but one message; so are the results it gets
    back."""
    role: Any = None
    parts: list[Part] = []
    open_turn = False
    sides = [None if item.type == "additional_tools" else _side(item, f"input[{position}]") for position, item in enumerate(items)]
    asked_from = max((position for position, side in enumerate(sides) if side == "assistant"), default=-1)
    for position, (item, side) in enumerate(zip(items, sides, strict=True)):
        if side is None:
            continue
        joins = side == "assistant" or item.type not in (None, "message")
        if not (joins and open_turn and side == role):
            if role is not None:
                yield Message(role=role, parts=tuple(parts))
            role, parts = side, []
        open_turn = joins
        parts.extend(_parts_of(item, raws[position], f"input[{position}]", past=position <= asked_from))
    if role is not None:
        yield Message(role=role, parts=tuple(parts))


# Items of a conversation that the caller's side says, though they are no output.
_SAID_BY_USER: Final = frozenset({"mcp_approval_response", "compaction", "compaction_summary", "context_compaction"})


def _side(item: schema.Item, at: str) -> str:
    kind = item.type or "message"
    if kind == "message":
        match item.role:
            case "user" | "assistant":
                return item.role
            case "system" | "developer":
                return "system"
            case _:
                raise InvalidRequest(f"{at}.role must be user, assistant, system or developer.", param=f"{at}.role")
    return "user" if kind.endswith("_output") or kind in _SAID_BY_USER else "assistant"


def _parts_of(item: schema.Item, raw: msgspec.Raw, at: str, past: bool) -> Iterator[Part]:
    """``past``: the item stands in the history, where nobody can put it right; what is malformed
    there is told as it is."""
    try:
        yield from list(_read(item, raw, at, past))
    except InvalidRequest:
        if not past:
            raise
        yield Opaque(wire=NAME, raw=msgspec.json.decode(raw))


def _read(item: schema.Item, raw: msgspec.Raw, at: str, past: bool) -> Iterator[Part]:
    match item.type:
        case None | "message":
            yield from _content(item.content, f"{at}.content", past)
        case "function_call":
            yield ToolCall(
                id=_call_id(item, at),
                name=_flat_name(item, at),
                arguments="" if item.arguments is None and past else _as_text(_required(item.arguments, f"{at}.arguments")),
            )
        case "custom_tool_call":
            yield ToolCall(
                id=_call_id(item, at),
                name=_flat_name(item, at),
                arguments="" if item.input is None and past else _as_text(_required(item.input, f"{at}.input")),
                custom=True,
            )
        case "function_call_output" | "custom_tool_call_output":
            yield ToolResult(
                call_id=_call_id(item, at),
                content=tuple(_output(item.output, f"{at}.output", past)),
                custom=item.type == "custom_tool_call_output",
            )
        case "reasoning":
            yield _thinking(item)
        case _:
            yield Opaque(wire=NAME, raw=msgspec.json.decode(raw))


def _required(value: Any, at: str) -> Any:
    if value is None:
        raise InvalidRequest(f"{at} is missing.", param=at)
    return value


def _call_id(item: schema.Item, at: str) -> str:
    if isinstance(item.call_id, int):
        return str(item.call_id)
    return str(_typed.convert(_required(item.call_id, f"{at}.call_id"), str, f"{at}.call_id"))


def _as_text(value: Any) -> str:
    """Some clients send arguments as the object they stand for."""
    return value if isinstance(value, str) else dumps(value).decode()


def _flat_name(item: schema.Item, at: str) -> str:
    name: str = _typed.convert(_required(item.name, f"{at}.name"), str, f"{at}.name")
    return qualified(item.namespace, name) if isinstance(item.namespace, str) and item.namespace else name


def _thinking(item: schema.Item) -> Thinking:
    pieces = next((pieces for pieces in (item.summary, item.content) if isinstance(pieces, list) and pieces), [])
    texts = [piece["text"] for piece in pieces if isinstance(piece, dict) and isinstance(piece.get("text"), str)]
    text = "\n\n".join(piece for piece in texts if piece)
    own = item.id if isinstance(item.id, str) else None
    if not isinstance(item.encrypted_content, str):
        return Thinking(text=text, wire=NAME, id=own)
    token, wire, redacted, issuer = unpack(item.encrypted_content)
    if redacted:
        return Thinking(text=text, redacted=token, wire=wire, issuer=issuer, id=own)
    return Thinking(text=text, signature=token or None, wire=wire, issuer=issuer, id=own)


def _output(output: Any, at: str, past: bool) -> Iterator[Part]:
    # Some clients send the result as an object; models read JSON.
    yield from _content(output if isinstance(output, str | list | None) else dumps(output).decode(), at, past)


def _content(content: Any, at: str, past: bool) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(text=content)
        return
    if past and isinstance(content, dict):
        content = [content]
    for position, part in enumerate(_typed.convert(content or [], list[Any], at)):
        try:
            yield _part(part, f"{at}[{position}]")
        except InvalidRequest:
            if not past:
                raise
            if words := _said(part):
                yield Text(text=words)


def _said(part: Any) -> str:
    """A malformed part of the history in words; nothing where it says nothing."""
    match part:
        case {"text": str(text)}:
            return text
        case {"text": None} | {"refusal": None} | {"image_url": None} | {"file_data": None}:
            return ""
        case dict():
            return plain_words(part)
    return dumps(part).decode()


def _part(raw: Any, at: str) -> Part:
    match raw:
        case str(text):
            return Text(text=text)
        case {"type": "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text", "text": str(text)}:
            return Text(text=text)
        case {"type": "refusal", "refusal": str(text)}:
            return Refusal(text=text)
        case {"type": "input_image"}:
            return _image(_typed.convert(raw, schema.ContentPart, at), at)
        case {"type": "input_file"}:
            return _file(_typed.convert(raw, schema.ContentPart, at), at)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return Audio(data=data, format=kind)
        case {"type": "input_text" | "output_text" | "text" | "refusal" | "input_audio"}:
            raise InvalidRequest(f"{at} has no content of its type.", param=at)
        case {"type": str()}:
            return Text(text=plain_words(raw))
        case dict():
            raise InvalidRequest(f"{at}.type is missing.", param=f"{at}.type")
        case _:
            raise InvalidRequest(f"{at}: Expected `object`.", param=at)


def _image(part: schema.ContentPart, at: str) -> Image:
    if part.file_id is not None:
        return Image(file_id=part.file_id, detail=part.detail)
    url = _required(part.image_url, f"{at}.image_url")
    if split := inbound.split_data_url(url):
        return Image(media_type=split[0], data=split[1], detail=part.detail)
    return Image(url=url, detail=part.detail)


def _file(part: schema.ContentPart, at: str) -> Document:
    if part.file_id is not None:
        return Document(file_id=part.file_id, name=part.filename)
    if part.file_url is not None:
        return Document(url=part.file_url, name=part.filename)
    data = _required(part.file_data, f"{at}.file_data")
    media_type, payload = inbound.split_data_url(data) or ("application/pdf", data)
    return Document(media_type=media_type, data=payload, name=part.filename)


def tools_of(raws: Any, at: str) -> Iterator[Tool]:
    for position, raw in enumerate(_typed.convert(raws, list[dict[str, Any]], at)):
        where = f"{at}[{position}]"
        match raw.get("type"):
            case "function":
                yield _function(_typed.convert(raw, schema.InTool, where), where)
            case "custom":
                yield _custom(_typed.convert(raw, schema.InTool, where), where)
            case "namespace":
                yield from _namespace(_typed.convert(raw, schema.InTool, where), where)
            case str(kind):
                name = raw.get("name")
                yield Tool(name=name if isinstance(name, str) and name else kind, builtin=kind, raw=raw)
            case _:
                raise InvalidRequest(f"{where}.type is missing.", param=f"{where}.type")


def _function(tool: schema.InTool, at: str) -> Tool:
    return Tool(name=_required(tool.name, f"{at}.name"), description=tool.description, parameters=tool.parameters, strict=tool.strict)


def _custom(tool: schema.InTool, at: str) -> Tool:
    return Tool(name=_required(tool.name, f"{at}.name"), description=tool.description, format=tool.format, custom=True)


def _namespace(tool: schema.InTool, at: str) -> Iterator[Tool]:
    """Tools under flat names; ``raw`` keeps where they came from, so that a call finds its way
    back."""
    space = _required(tool.name, f"{at}.name")
    for position, inner in enumerate(tool.tools or ()):
        where = f"{at}.tools[{position}]"
        found = _custom(inner, where) if inner.type == "custom" else _function(inner, where)
        origin: dict[str, Any] = {"namespace": space, "about": tool.description, "name": found.name}
        yield msgspec.structs.replace(found, name=qualified(space, found.name), raw=origin)


def tool_choice_of(choice: str | dict[str, Any] | None) -> ToolChoice | None:
    """``None`` for what has no neutral form."""
    match choice:
        case "auto" | "none" | "required":
            return ToolChoice(mode=choice)
        case {"type": "function" | "custom", "name": str(name), "namespace": str(space)}:
            return ToolChoice(mode="tool", name=qualified(space, name))
        case {"type": "function" | "custom", "name": str(name)}:
            return ToolChoice(mode="tool", name=name)
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(tools)}:
            names = tuple(found for tool in tools if (found := _allowed(tool)) is not None)
            return ToolChoice(mode=mode, allowed=names) if len(names) == len(tools) else None
        case str():
            raise InvalidRequest("tool_choice must be none, auto, required or an object.", param="tool_choice")
        case _:
            return None


def _allowed(tool: Any) -> str | None:
    match tool:
        case {"type": "function" | "custom", "name": str(name), "namespace": str(space)}:
            return qualified(space, name)
        case {"type": "function" | "custom", "name": str(name)}:
            return name
        case _:
            return None

"""Content blocks of a caller as neutral parts. A block that a part cannot hold whole travels as
:class:`Opaque`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import Document, Image, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import _typed

from .names import NAME
from .signatures import unpack


class CacheIn(msgspec.Struct):
    type: Literal["ephemeral"] = "ephemeral"
    ttl: Literal["5m", "1h"] = "5m"


class SourceIn(msgspec.Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class TextIn(msgspec.Struct):
    text: str


class MediaIn(msgspec.Struct):
    source: SourceIn
    title: str | None = None


class ThinkingIn(msgspec.Struct):
    thinking: str | None = None
    signature: str | None = None


class RedactedIn(msgspec.Struct):
    data: str | None = None


class CallIn(msgspec.Struct):
    id: str
    name: str
    input: dict[str, Any]


class ResultIn(msgspec.Struct):
    tool_use_id: str
    content: Any = None
    is_error: bool | None = None


class FoundIn(msgspec.Struct):
    source: str
    title: str
    content: list[TextIn]


def parts_of(content: str | list[dict[str, Any]], path: str, past: bool = False) -> tuple[Part, ...]:
    """``past``: the content stands in the history, where nobody can put a block right; what is
    malformed there travels as it is."""
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple(_read(block, f"{path}[{at}]", past) for at, block in enumerate(content))


def _read(block: dict[str, Any], path: str, past: bool) -> Part:
    try:
        return _part(block, path, past)
    except InvalidRequest:
        if not past:
            raise
    if "cache_control" in block:
        return _read({name: value for name, value in block.items() if name != "cache_control"}, path, past)
    return Opaque(wire=NAME, raw=block)


def cache_of(block: dict[str, Any], path: str) -> str | None:
    mark = block.get("cache_control")
    return None if mark is None else _typed.convert(mark, CacheIn, f"{path}.cache_control").ttl


def _part(block: dict[str, Any], path: str, past: bool) -> Part:
    kind = _typed.convert(block.get("type"), str, f"{path}.type")
    if kind == "tool_result":
        return _result(block, path, past)
    reader = _READERS.get(kind)
    part = reader(block, path) if reader else None
    return part or Opaque(wire=NAME, raw=block)


def _text(block: dict[str, Any], path: str) -> Part:
    # Citations annotate what the model said; the text stands without them.
    return Text(text=_typed.convert(block, TextIn, path).text, cache=cache_of(block, path))


def _image(block: dict[str, Any], path: str) -> Part | None:
    source = _typed.convert(block, MediaIn, path).source
    cache = cache_of(block, path)
    match source.type:
        case "base64" if source.data is not None:
            return Image(media_type=source.media_type, data=source.data, cache=cache)
        case "url" if source.url:
            return Image(url=source.url, cache=cache)
        case "file" if source.file_id:
            return Image(file_id=source.file_id, cache=cache)
    return None


def _document(block: dict[str, Any], path: str) -> Part | None:
    known = _typed.convert(block, MediaIn, path)
    source, name, cache = known.source, known.title, cache_of(block, path)
    cites = block.get("citations")
    if block.get("context") or (isinstance(cites, dict) and cites.get("enabled")):
        return None
    match source.type:
        case "base64" if source.data is not None:
            return Document(media_type=source.media_type, data=source.data, name=name, cache=cache)
        case "text" if source.data is not None:
            return Document(media_type=source.media_type, text=source.data, name=name, cache=cache)
        case "url" if source.url:
            return Document(url=source.url, name=name, cache=cache)
        case "file" if source.file_id:
            return Document(file_id=source.file_id, name=name, cache=cache)
    return None


def _thinking(block: dict[str, Any], path: str) -> Part:
    known = _typed.convert(block, ThinkingIn, path)
    token, wire, item, issuer = unpack(known.signature or "")
    return Thinking(text=known.thinking or "", signature=token, wire=wire, issuer=issuer, id=item)


def _redacted(block: dict[str, Any], path: str) -> Part:
    data, wire, item, issuer = unpack(_typed.convert(block, RedactedIn, path).data or "")
    return Thinking(redacted=data, wire=wire, issuer=issuer, id=item)


def _call(block: dict[str, Any], path: str) -> Part | None:
    known = _typed.convert(block, CallIn, path)
    caller = block.get("caller")
    if isinstance(caller, dict) and caller.get("type") != "direct":
        return None
    return ToolCall(id=known.id, name=known.name, arguments=json.dumps(known.input).decode(), cache=cache_of(block, path))


def _result(block: dict[str, Any], path: str, past: bool) -> Part:
    known = _typed.convert(block, ResultIn, path)
    return ToolResult(
        call_id=known.tool_use_id,
        content=tuple(_content(known.content, f"{path}.content", past)),
        is_error=bool(known.is_error),
        cache=cache_of(block, path),
    )


def _content(content: Any, path: str, past: bool) -> Iterator[Part]:
    """Some clients send a result as the value that it is; models read JSON."""
    if not isinstance(content, str | list | None):
        content = json.dumps(content).decode()
    if isinstance(content, str):
        yield Text(text=content)
        return
    for at, block in enumerate(content or ()):
        yield _read(block, f"{path}[{at}]", past) if isinstance(block, dict) else Text(text=_words(block))


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).decode()


def _found(block: dict[str, Any], path: str) -> Part | None:
    cites = block.get("citations")
    if isinstance(cites, dict) and cites.get("enabled"):
        return None
    known = _typed.convert(block, FoundIn, path)
    text = "\n".join(piece.text for piece in known.content)
    return Text(text=f"{known.title} ({known.source})\n{text}", cache=cache_of(block, path))


_READERS: dict[str, Callable[[dict[str, Any], str], Part | None]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _call,
    "search_result": _found,
}

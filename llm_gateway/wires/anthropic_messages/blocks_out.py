"""Neutral parts as content blocks of a request."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

from llm_gateway.core.chat import Audio, Document, Image, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires._arguments import as_object

from .names import NAME

_BAD_ID = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_BREAKPOINTS = 4
_KINDS_OF_IMAGE = {"/9j/": "image/jpeg", "iVBOR": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}


def call_id(text: str) -> str:
    """The format takes letters, digits, ``_`` and ``-``; other hosts' ids hold more
    (``functions.run:0``)."""
    return _BAD_ID.sub("_", text) or "call"


def cache_control(ttl: str | None) -> dict[str, Any]:
    if ttl is None:
        return {}
    return {"cache_control": {"type": "ephemeral", "ttl": ttl} if ttl != "5m" else {"type": "ephemeral"}}


def keep_breakpoints(body: dict[str, Any]) -> None:
    """The format takes four marks for the cache, callers of others set as many as they like: the
    first stays, which holds what is the same in every request, and the last, which hold the
    conversation. https://docs.claude.com/en/docs/build-with-claude/prompt-caching"""
    marked = [block for field in ("tools", "system", "messages") for block in _marked(body.get(field))]
    for block in marked[1 : 1 - _MOST_BREAKPOINTS]:
        del block["cache_control"]


def _marked(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from _marked(one)
    elif isinstance(value, dict):
        yield from _marked(value.get("content"))
        if "cache_control" in value:
            yield value


def blocks_of(parts: Iterable[Part], path: str, *, own: bool) -> list[dict[str, Any]]:
    """``own``: the request came in this format, so ids of its files mean something. Empty text is
    left out: the format refuses it."""
    return [block for part in parts if (block := _block(part, path, own))]


def _block(part: Part, path: str, own: bool) -> dict[str, Any] | None:
    match part:
        case Text(text=text) | Refusal(text=text):
            cache = part.cache if isinstance(part, Text) else None
            return {"type": "text", "text": text, **cache_control(cache)} if text.strip() else None
        case Thinking():
            return _thinking(part)
        case ToolCall():
            arguments = as_object(part.arguments, part.custom)
            return {"type": "tool_use", "id": call_id(part.id), "name": part.name, "input": arguments, **cache_control(part.cache)}
        case ToolResult():
            return _result(part, path, own)
        case Image():
            return {"type": "image", "source": _image(part, path, own), **cache_control(part.cache)}
        case Document():
            block: dict[str, Any] = {"type": "document", "source": _document(part, path, own)}
            if part.name:
                block["title"] = part.name
            return block | cache_control(part.cache)
        case Audio():
            raise UnsupportedParameter("This provider takes no audio.", param=path)
        case Opaque(wire=wire, raw=raw) if wire == NAME:
            return raw
    raise UnsupportedParameter("This provider does not know a content block of this request.", param=path)


def _thinking(part: Thinking) -> dict[str, Any] | None:
    if part.wire != NAME:
        return None
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature} if part.signature else None


def _result(part: ToolResult, path: str, own: bool) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id(part.call_id)}
    match part.content:
        case ():
            pass
        case (Text(text=text, cache=None),):
            block["content"] = text
        case _:
            block["content"] = blocks_of(part.content, path, own=own)
    if part.is_error:
        block["is_error"] = True
    return block | cache_control(part.cache)


def _image(part: Image, path: str, own: bool) -> dict[str, Any]:
    if part.data is not None:
        kind = next((kind for head, kind in _KINDS_OF_IMAGE.items() if part.data.startswith(head)), "image/png")
        return {"type": "base64", "media_type": part.media_type or kind, "data": part.data}
    if part.url is not None:
        return {"type": "url", "url": part.url}
    return _file(part.file_id, path, own)


def _document(part: Document, path: str, own: bool) -> dict[str, Any]:
    kind = part.media_type or ""
    if part.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": part.text}
    if part.data is not None:
        if kind.startswith("text/") or kind == "application/json":
            return {"type": "text", "media_type": "text/plain", "data": _plain(part.data, path)}
        if kind not in ("", "application/pdf", "application/octet-stream"):
            raise UnsupportedParameter(f"This provider takes PDF and plain text documents, not {kind[:80]}.", param=path)
        return {"type": "base64", "media_type": "application/pdf", "data": part.data}
    if part.url is not None:
        return {"type": "url", "url": part.url}
    return _file(part.file_id, path, own)


def _plain(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise UnsupportedParameter("A text document is not base64 of UTF-8.", param=path) from None


def _file(file_id: str | None, path: str, own: bool) -> dict[str, Any]:
    if own and file_id:
        return {"type": "file", "file_id": file_id}
    raise UnsupportedParameter("A file id is known only to the service that gave it; send the file's content.", param=path)

"""Blocks that only this format knows, for providers of another one: searches, code runs, MCP calls
and files of Anthropic's own tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import Document, Image, Part, Text, ToolCall
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires._elsewhere import as_written, shortened


def read(block: dict[str, Any], asked: bool = False) -> tuple[Part, ...] | None:
    """``None``: not a block that this module knows, or one of another shape."""
    kind = block.get("type")
    if asked and kind == "container_upload":
        raise UnsupportedParameter("A file in a container is known only to the service that keeps it; send the file's content.")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None and isinstance(kind, str) and kind.endswith("_tool_result"):
        reader = _result
    return reader(block) if reader else None


def _call(block: dict[str, Any]) -> tuple[Part, ...] | None:
    """A call of a function out of a code run: the caller answered it like any other."""
    name, own = block.get("name"), block.get("id")
    if not isinstance(name, str) or not isinstance(own, str):
        return None
    return (ToolCall(id=own, name=name, arguments=json.dumps(block.get("input") or {}).decode()),)


def _server_call(block: dict[str, Any]) -> tuple[Part, ...]:
    where = block.get("server_name")
    name = f"{where}/{block.get('name')}" if isinstance(where, str) else str(block.get("name"))
    given = block.get("input")
    return (Text(text=f"[{name} was called: {shortened(json.dumps(given).decode())}]" if given else f"[{name} was called]"),)


def _result(block: dict[str, Any]) -> tuple[Part, ...]:
    """Results of server tools: a list of finds, an object with output, or plain blocks."""
    name = str(block.get("type")).removesuffix("_tool_result").replace("_", " ")
    content = block.get("content")
    failed = block.get("is_error") is True
    found = list(_said(content))
    if not found:
        found = [Text(text="no output")]
    head = f"[Result of {name}{', failed' if failed else ''}]"
    if isinstance(found[0], Text):
        return (Text(text=f"{head}\n{found[0].text}"), *found[1:])
    return (Text(text=head), *found)


def _said(content: Any) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    if isinstance(content, list):
        parts: list[Part] = []
        for one in content:
            for part in _said(one):
                before = parts[-1] if parts else None
                if isinstance(part, Text) and isinstance(before, Text):
                    parts[-1] = Text(text=f"{before.text}\n{part.text}")
                else:
                    parts.append(part)
        return tuple(parts)
    if not isinstance(content, dict):
        return ()
    match content:
        case {"type": "text", "text": str(text)}:
            return (Text(text=text),) if text else ()
        case {"type": "web_search_result", "url": str(url)}:
            age = content.get("page_age")
            return (Text(text=f"- {content.get('title') or url} ({url}){f', {age}' if age else ''}"),)
        case {"type": "web_fetch_result", "url": str(url), "content": inner}:
            return _joined(Text(text=url), _said(inner))
        case {"tool_references": list(references)}:
            return _said(references)
        case {"type": "tool_reference", "tool_name": str(name)}:
            return (Text(text=f"[The tool `{name}` is available.]"),)
        case {"type": "document" | "image" | "search_result"}:
            return read(content) or (Text(text=as_written(content)),)
        case {"error_code": str(code)}:
            return (Text(text=f"error: {code}"),)
        case {"stdout": _} | {"stderr": _} | {"return_code": _}:
            return (Text(text=_output(content)),)
    return (Text(text=as_written(content)),)


def _joined(head: Text, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    if parts and isinstance(parts[0], Text):
        return (Text(text=f"{head.text}\n{parts[0].text}"), *parts[1:])
    return (head, *parts)


def _output(ran: dict[str, Any]) -> str:
    lines = [str(ran["stdout"]).rstrip()] if ran.get("stdout") else []
    if ran.get("stderr"):
        lines.append(f"stderr: {str(ran['stderr']).rstrip()}")
    if ran.get("return_code"):
        lines.append(f"return code {ran['return_code']}")
    files = [str(one["file_id"]) for one in ran.get("content") or () if isinstance(one, dict) and one.get("file_id")]
    if files:
        lines.append(f"files: {', '.join(files)}")
    return shortened("\n".join(lines)) or "no output"


def _document(block: dict[str, Any]) -> tuple[Part, ...] | None:
    """A document with a context or citations: those are Anthropic's own, what it says is not."""
    source, title, context = block.get("source"), block.get("title"), block.get("context")
    if not isinstance(source, dict):
        return None
    name = title if isinstance(title, str) else None
    head = (Text(text=f"About the document {name or 'that follows'}: {context}"),) if isinstance(context, str) and context else ()
    match source:
        case {"type": "text", "data": str(text)}:
            return (*head, Document(media_type="text/plain", text=text, name=name))
        case {"type": "content", "content": inner}:
            return (*head, *_joined(Text(text=name), _said(inner))) if name else (*head, *_said(inner))
        case {"type": "base64", "data": str(data)}:
            kind = source.get("media_type")
            return (*head, Document(media_type=kind if isinstance(kind, str) else None, data=data, name=name))
        case {"type": "url", "url": str(url)}:
            return (*head, Document(url=url, name=name))
        case {"type": "file", "file_id": str(file_id)}:
            return (*head, Document(file_id=file_id, name=name))
    return None


def _image(block: dict[str, Any]) -> tuple[Part, ...] | None:
    match block.get("source"):
        case {"type": "base64", "data": str(data), "media_type": str(kind)}:
            return (Image(media_type=kind, data=data),)
        case {"type": "url", "url": str(url)}:
            return (Image(url=url),)
    return None


def _found(block: dict[str, Any]) -> tuple[Part, ...]:
    title, source = block.get("title"), block.get("source")
    return _joined(Text(text=f"{title or 'Search result'} ({source})"), _said(block.get("content")))


def _reference(block: dict[str, Any]) -> tuple[Part, ...]:
    return _said(block)


def _summary(block: dict[str, Any]) -> tuple[Part, ...] | None:
    """What an earlier part of the conversation was shortened to."""
    content = block.get("content")
    return (Text(text=f"[The conversation so far, shortened]\n{content}"),) if isinstance(content, str) and content else None


def _upload(block: dict[str, Any]) -> tuple[Part, ...]:
    return (Text(text=f"[The file {block.get('file_id')} was put into the container of a code tool; it cannot be read here.]"),)


_READERS: dict[str, Callable[[dict[str, Any]], tuple[Part, ...] | None]] = {
    "tool_use": _call,
    "server_tool_use": _server_call,
    "mcp_tool_use": _server_call,
    "document": _document,
    "image": _image,
    "search_result": _found,
    "tool_reference": _reference,
    "compaction": _summary,
    "container_upload": _upload,
}

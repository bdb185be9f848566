"""A caller's request, read as far as routing needs. Model, kind and streaming are in the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_gateway.core import json
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import _searches, _typed
from llm_gateway.wires._base import Inbound, Once

from . import embeddings
from .casing import listed, normal
from .names import NAME
from .request_in import chat_of
from .schema import ContentIn, RequestIn

MEDIA_CHARS = 4000
_HEAD = 4000
_SEARCHES = frozenset(("googleSearch", "googleSearchRetrieval"))


def decode(body: bytes, path: Mapping[str, str]) -> Inbound:
    kind, model = path.get("kind", "chat"), path.get("model", "").removeprefix("models/")
    fields: dict[str, Any] = normal(_typed.load(body))
    if kind == "embeddings":
        return embeddings.inbound(fields, model, body)
    inner = fields.get("generateContentRequest")
    if kind == "count_tokens" and isinstance(inner, dict):
        fields = inner
    fields = listed(fields)
    request = _typed.convert(fields, RequestIn, "")
    if not request.contents:
        raise InvalidRequest("contents: contents is not specified.", param="contents")
    stream = bool(path.get("stream")) and kind == "chat"
    needs: set[str] = set()
    size = _measure(request, needs)
    config = request.generation_config
    count = config.candidate_count if config and config.candidate_count else 1
    if count > 1:
        needs.add("n")
    return Inbound(
        kind=kind,
        dialect=NAME,
        model=model,
        stream=stream,
        include_usage=True,
        max_tokens=config.max_output_tokens if config else None,
        n=count,
        size=size,
        needs=frozenset(needs),
        body=body,
        chat=Once(chat_of, request, fields, model, stream),
        affinity=_head(request),
        service_tier=request.service_tier,
        searches=_searches.UNBOUNDED
        if any("googleSearch" in tool or "googleSearchRetrieval" in tool for tool in request.tools or ())
        else 0,
        stream_form="array" if path.get("stream") == "array" else "sse",
    )


def _measure(request: RequestIn, needs: set[str]) -> int:
    size = _content(request.system_instruction, needs) + sum(_content(content, needs) for content in request.contents)
    if request.tools:
        needs.add("tools")
        size += _chars(request.tools)
    config = request.generation_config
    schema = (config.response_json_schema or config.response_schema) if config else None
    if schema:
        needs.add("json_schema")
        size += _chars(schema)
    return size


def _content(content: ContentIn | str | None, needs: set[str]) -> int:
    if content is None or isinstance(content, str):
        return len(content or "")
    return sum(_part(part, needs) for part in content.parts or ())


def _part(part: dict[str, Any], needs: set[str]) -> int:
    if isinstance(text := part.get("text"), str):
        return len(text)
    medium = part.get("inlineData") or part.get("fileData")
    if not isinstance(medium, dict):
        return _chars({name: value for name, value in part.items() if name != "thoughtSignature"})
    family, data = str(medium.get("mimeType", "")).partition("/")[0], medium.get("data")
    length = len(data) if isinstance(data, str) else 0
    match family:
        case "image":
            needs.add("images")
            return MEDIA_CHARS
        case "audio":
            needs.add("audio")
            return max(400, length // 200)
        case "text":
            needs.add("documents")
            return length * 3 // 4
    needs.add("documents")
    return max(MEDIA_CHARS, length // 12)


def _chars(value: Any) -> int:
    return len(json.dumps(value).decode())


def _head(request: RequestIn) -> str:
    system = request.system_instruction
    texts = [system] if isinstance(system, str) else [_text(system)]
    texts.append(_text(request.contents[0]))
    return "\n".join(text[:_HEAD] for text in texts)


def _text(content: ContentIn | None) -> str:
    parts = content.parts if content else None
    return "\n".join(part["text"] for part in parts or () if isinstance(part.get("text"), str))

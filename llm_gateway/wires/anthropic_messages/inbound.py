"""A caller's request, read as far as routing needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import _searches, _typed
from llm_gateway.wires._base import Inbound, Once
from llm_gateway.wires._fitting import BILLING_MARK

from .errors import ThreadRefused
from .names import NAME
from .request_in import chat_of
from .schema import Content, RequestIn
from .usage import FAST

IMAGE_CHARS = 4000
_HEAD = 4000
_request = msgspec.json.Decoder(RequestIn)


def decode(body: bytes, path: Mapping[str, str]) -> Inbound:
    kind = path.get("kind", "chat")
    request = _typed.decode(body, _request)
    if kind == "chat" and request.max_tokens is None:
        raise InvalidRequest("max_tokens: Field required.", param="max_tokens")

    if request.thread is not None:
        raise ThreadRefused
    user = request.metadata.user_id if request.metadata else None
    size, needs = _measure(request)
    return Inbound(
        kind=kind,
        dialect=NAME,
        model=request.model,
        stream=bool(request.stream) and kind == "chat",
        include_usage=True,
        max_tokens=request.max_tokens,
        n=1,
        size=size,
        needs=frozenset(needs),
        body=body,
        chat=Once(chat_of, request, body),
        affinity=user or _prefix(request),
        user=user,
        searches=_searches.allowed((tool.get("type"), tool.get("max_uses")) for tool in request.tools or ()),
        service_tier=FAST if request.speed == FAST else request.service_tier,
    )


def _measure(request: RequestIn) -> tuple[int, set[str]]:
    needs: set[str] = set()
    size = sum(_block(block, needs) for block in _blocks(request.system))
    for message in request.messages:
        size += sum(_block(block, needs) for block in _blocks(message.content))
    if request.tools:
        needs.add("tools")
        size += _chars(request.tools)
    wanted = request.output_format or (request.output_config.format if request.output_config else None)
    if wanted:
        needs.add("json_schema")
        size += _chars(wanted.schema)
    return size, needs


def _blocks(content: Content | None) -> Iterator[dict[str, Any]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from content or ()


def _block(block: dict[str, Any], needs: set[str]) -> int:
    match block.get("type"):
        case "text":
            return _length(block.get("text"))
        case "image":
            needs.add("images")
            return IMAGE_CHARS
        case "document":
            needs.add("documents")
            source = block.get("source")
            data = source.get("data") if isinstance(source, dict) else None
            plain = isinstance(source, dict) and source.get("type") == "text"
            # A page of a PDF is some 50 kB of base64 and is billed like an image.
            return _length(data) if plain else max(IMAGE_CHARS, _length(data) // 12)
        case "tool_result":
            content = block.get("content")
            if isinstance(content, list):
                return sum(_block(one, needs) for one in content if isinstance(one, dict))
            return _length(content)
        case "thinking":
            return _length(block.get("thinking"))
        case "redacted_thinking":
            return 0
    return _chars(block)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0


def _chars(value: Any) -> int:
    return len(json.dumps(value).decode())


def _prefix(request: RequestIn) -> str:
    """What the caller marked as worth caching, else the head of the prompt."""
    system = [block for block in _blocks(request.system) if not str(block.get("text", "")).lstrip().startswith(BILLING_MARK)]
    marked = [at for at, block in enumerate(system) if block.get("cache_control")]
    if marked:
        system = system[: marked[-1] + 1]
    texts = [block["text"] for block in system if isinstance(block.get("text"), str)]
    if not marked:
        texts += [block["text"] for block in _blocks(request.messages[0].content) if isinstance(block.get("text"), str)]
    return "\n".join(text[:_HEAD] for text in texts)

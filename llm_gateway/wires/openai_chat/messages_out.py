"""Neutral messages as chat messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from llm_gateway.core.chat import Audio, ChatRequest, Document, Image, Message, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.core.json import dumps
from llm_gateway.wires._arguments import as_object
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires._openai.facts import without_none
from llm_gateway.wires._openai.inbound import data_url

from .order import in_order

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_AUDIO_TYPES = {"wav": "wav", "x-wav": "wav", "mpeg": "mp3"}


def messages_to(chat: ChatRequest, facts: ModelFacts) -> list[dict[str, Any]]:
    # What came in another format is matched where it was fitted to this one.
    ordered = in_order(chat.messages, "system_anywhere" in facts.extensions, matched=chat.origin != "openai_chat")
    return [body for message in ordered for body in _message(message, facts)]


def _message(message: Message, facts: ModelFacts) -> Iterator[dict[str, Any]]:
    if message.role == "system":
        # Templates of many hosts take only a string here.
        texts = [part for part in message.parts if isinstance(part, Text)]
        if len(texts) != len(message.parts):
            raise UnsupportedParameter("System messages hold only text in OpenAI's chat format.", param="messages")
        content: Any = "\n\n".join(part.text for part in texts)
        if _caches(facts) and any(part.cache for part in texts):
            content = [_content_part(part, facts) for part in texts]
        yield _named({"role": "system", "content": content}, message)
    elif message.role == "user":
        yield from _user(message, facts)
    else:
        yield _named(_assistant(message, facts), message)


def _named(body: dict[str, Any], message: Message) -> dict[str, Any]:
    if message.name is not None:
        body["name"] = message.name
    return body


def _user(message: Message, facts: ModelFacts) -> Iterator[dict[str, Any]]:
    rest: list[Part] = []
    shown: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            body, pictures = _tool_message(part, facts)
            yield body
            if pictures:
                shown += [Text(text=f"Content of the result of tool call {part.call_id}:"), *pictures]
        else:
            rest.append(part)
    if rest or shown or not message.parts:
        yield _named({"role": "user", "content": _content([*shown, *rest], facts)}, message)


def _tool_message(result: ToolResult, facts: ModelFacts) -> tuple[dict[str, Any], list[Part]]:
    """The message, and what a tool message cannot hold: it follows in a user message. Every host
    takes a string here, few a list."""
    texts = [part.text for part in result.content if isinstance(part, Text)]
    pictures = [part for part in result.content if not isinstance(part, Text)]
    content: Any = "\n".join(texts)
    if len(texts) > 1 and "tool_result_parts" in facts.extensions:
        content = [{"type": "text", "text": text} for text in texts]
    if pictures and not texts:
        content = "The result follows in the next message."
    if result.is_error and "error" not in "".join(texts)[:100].lower():
        content = "Error: " + "\n".join(texts)
    body = {"role": "tool", "tool_call_id": result.call_id, "content": content}
    return body | without_none(name=result.name), pictures


def _assistant(message: Message, facts: ModelFacts) -> dict[str, Any]:
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in message.parts:
        match part:
            case Text():
                texts.append(part.text)
            case Refusal():
                refusals.append(part.text)
            case Thinking():
                thoughts.append(part.text)
            case ToolCall():
                calls.append(_call(part, facts))
            case _:
                raise UnsupportedParameter("Assistant messages hold only text and tool calls in OpenAI's chat format.", param="messages")
    content = "".join(texts) if texts or not (calls or refusals) else None
    body: dict[str, Any] = {"role": "assistant", "content": content}
    if refusals:
        body["refusal"] = "".join(refusals)
    # OpenAI refuses the field, DeepSeek and its kin need it in a tool loop: only hosts that say so
    # get it.
    field = next((name for name in ("reasoning_content", "reasoning") if name in facts.extensions), None)
    if field and "".join(thoughts):
        body[field] = "".join(thoughts)
    elif field and calls and "thought_required" in facts.extensions:
        # A call of another model, or one without a thought. These hosts refuse an empty text, too.
        body[field] = " "
    if calls:
        body["tool_calls"] = calls
    return body


def _call(call: ToolCall, facts: ModelFacts) -> dict[str, Any]:
    if call.custom and not facts.openai_tools:
        arguments = dumps(as_object(call.arguments, custom=True)).decode()
        return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    body: dict[str, Any] = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call.arguments)}}
    if call.signature and "thought_signature" in facts.extensions:
        body["extra_content"] = {"google": {"thought_signature": call.signature}}
    return body


def _arguments(text: str) -> str:
    """What the model wrote, if it is an object. vLLM and llama.cpp parse it and fail on every later
    turn where it is not."""
    try:
        _object.decode(text)
        return text
    except (msgspec.DecodeError, UnicodeEncodeError):
        return dumps(as_object(text)).decode()


def _content(parts: list[Part], facts: ModelFacts) -> Any:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text) and not (parts[0].cache and _caches(facts)):
        return parts[0].text
    return list(_content_parts(parts, facts))


def _content_parts(parts: Iterable[Part], facts: ModelFacts) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield _content_part(part, facts)


def _content_part(part: Part, facts: ModelFacts) -> dict[str, Any]:
    match part:
        case Text():
            body: dict[str, Any] = {"type": "text", "text": part.text}
        case Image():
            body = {"type": "image_url", "image_url": _image(part)}
        case Audio():
            body = {"type": "input_audio", "input_audio": {"data": part.data, "format": _AUDIO_TYPES.get(part.format, part.format)}}
        case Document(text=str(text)):
            body = {"type": "text", "text": f"{part.name}:\n{text}" if part.name else text}
        case Document():
            body = {"type": "file", "file": _file(part)}
        case Opaque(wire="openai_chat"):
            return part.raw
        case _:
            raise UnsupportedParameter(f"User messages cannot hold {part.__struct_config__.tag} in OpenAI's chat format.", param="messages")
    cache = getattr(part, "cache", None)
    if cache and _caches(facts):
        body["cache_control"] = {"type": "ephemeral"} | ({"ttl": cache} if cache != "5m" else {})
    return body


def _image(image: Image) -> dict[str, Any]:
    if image.file_id is not None:
        raise UnsupportedParameter("Images by file id cannot be sent in OpenAI's chat format.", param="messages")
    url = image.url if image.url is not None else data_url(image.media_type, image.data or "", "image/png")
    return {"url": url} | without_none(detail=image.detail)


def _file(document: Document) -> dict[str, Any]:
    if document.file_id is not None:
        return {"file_id": document.file_id} | without_none(filename=document.name)
    if document.data is None:
        raise UnsupportedParameter("Documents by URL cannot be sent in OpenAI's chat format; send their content.", param="messages")
    # OpenAI refuses file_data without a name.
    name = document.name if document.name is not None else "document.pdf"
    return {"filename": name, "file_data": data_url(document.media_type, document.data, "application/pdf")}


def _caches(facts: ModelFacts) -> bool:
    return "cache_control" in facts.extensions

"""Neutral messages as Responses input items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm_gateway.core.chat import (
    Audio,
    ChatRequest,
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
    ToolResult,
)
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires._openai.facts import without_none
from llm_gateway.wires._openai.inbound import data_url

from .names import NAME, is_ours


def input_of(chat: ChatRequest) -> tuple[str | None, list[dict[str, Any]]]:
    """Instructions (a leading system message) and the items."""
    messages = chat.messages
    instructions: str | None = None
    if messages and messages[0].role == "system":
        instructions = _system_text(messages[0]) or None
        messages = messages[1:]
    spaces = {tool.name: tool for tool in chat.tools if tool.raw and "namespace" in tool.raw and not tool.builtin}
    return instructions, [item for message in messages for item in _items(message, spaces)]


def _system_text(message: Message) -> str:
    texts = [part.text for part in message.parts if isinstance(part, Text)]
    if len(texts) != len(message.parts):
        raise UnsupportedParameter("System messages hold only text in OpenAI's Responses format.", param="messages")
    return "\n\n".join(texts)


def _items(message: Message, spaces: dict[str, Tool]) -> Iterator[dict[str, Any]]:
    if message.role == "system":
        yield {"type": "message", "role": "developer", "content": _system_text(message)}
        return
    content: list[dict[str, Any]] = []
    for part in message.parts:
        own = list(_own_items(part, spaces))
        if own or isinstance(part, Thinking):
            if content and own:
                yield _message(message.role, content)
                content = []
            yield from own
        else:
            content.append(_content_part(part, message.role))
    if content or not message.parts:
        yield _message(message.role, content)


def _message(role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    plain = len(content) <= 1 and all(part["type"] == "input_text" for part in content)
    return {"type": "message", "role": role, "content": "".join(part["text"] for part in content) if plain else content}


def _own_items(part: Part, spaces: dict[str, Tool]) -> Iterator[dict[str, Any]]:
    """Parts that are items of their own. Thoughts of another format, or none that could be sent
    back, are no item at all."""
    match part:
        case ToolCall():
            tool = spaces.get(part.name)
            names = {"name": tool.raw["name"], "namespace": tool.raw["namespace"]} if tool and tool.raw else {"name": part.name}
            if part.custom:
                yield {"type": "custom_tool_call", "call_id": part.id, **names, "input": part.arguments}
            else:
                yield {"type": "function_call", "call_id": part.id, **names, "arguments": part.arguments or "{}"}
        case ToolResult():
            kind = "custom_tool_call_output" if part.custom else "function_call_output"
            yield {"type": kind, "call_id": part.call_id, "output": _output(part)}
        case Thinking(wire="openai_responses") if part.signature or part.id:
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item = {"type": "reasoning"} | without_none(id=part.id) | {"summary": summary} | without_none(encrypted_content=part.signature)
            if not is_ours(item):
                yield item
        case Opaque(wire="openai_responses"):
            yield part.raw
        case Opaque():
            raise UnsupportedParameter(f"Content of {part.wire} cannot be sent to a provider that speaks {NAME}.", param="messages")
        case _:
            pass


def _output(result: ToolResult) -> Any:
    texts = [part.text for part in result.content if isinstance(part, Text)]
    if len(texts) == len(result.content) <= 1:
        text = "".join(texts)
        return text if not result.is_error or "error" in text[:100].lower() else f"Error: {text}"
    return [_content_part(part, "user") for part in result.content]


def _content_part(part: Part, role: str) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
        case Refusal():
            return {"type": "refusal", "refusal": part.text}
        case Image():
            return {"type": "input_image"} | _image(part)
        case Document(text=str(text)):
            return {"type": "input_text", "text": f"{part.name}:\n{text}" if part.name else text}
        case Document():
            return {"type": "input_file"} | _file(part)
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        case _:
            kind = part.__struct_config__.tag
            raise UnsupportedParameter(f"A {role} message cannot hold {kind} in OpenAI's Responses format.", param="messages")


def _image(image: Image) -> dict[str, Any]:
    if image.file_id is not None:
        return {"file_id": image.file_id} | without_none(detail=image.detail)
    url = image.url if image.url is not None else data_url(image.media_type, image.data or "", "image/png")
    return {"image_url": url} | without_none(detail=image.detail)


def _file(document: Document) -> dict[str, Any]:
    if document.file_id is not None:
        return {"file_id": document.file_id} | without_none(filename=document.name)
    if document.url is not None:
        return {"file_url": document.url} | without_none(filename=document.name)
    # OpenAI refuses file_data without a name.
    name = document.name if document.name is not None else "document.pdf"
    return {"filename": name, "file_data": data_url(document.media_type, document.data or "", "application/pdf")}

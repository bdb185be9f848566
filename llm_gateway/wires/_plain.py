"""Pieces of one format as text, on their way to another: a history with an odd item in it still reaches every provider."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llm_gateway.core.chat import ChatRequest, Opaque, Part, Text, ToolResult

Describe = Callable[[Opaque], str | None]


def in_words_of(wire: str, chat: ChatRequest, describe: Describe) -> ChatRequest:
    """``describe`` answers ``None`` for a piece that stays as it is."""

    def plain(part: Part) -> Part:
        match part:
            case Opaque() if part.wire != wire and (said := describe(part)) is not None:
                return Text(text=said)
            case ToolResult() if any(isinstance(inner, Opaque) for inner in part.content):
                return msgspec.structs.replace(part, content=tuple(plain(inner) for inner in part.content))
        return part

    messages = tuple(
        msgspec.structs.replace(message, parts=tuple(map(plain, message.parts)))
        if any(isinstance(part, Opaque | ToolResult) for part in message.parts)
        else message
        for message in chat.messages
    )
    return msgspec.structs.replace(chat, messages=messages)

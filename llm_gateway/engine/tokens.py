"""Token counts without a provider: o200k, the nearest public relative of what today's models use. Estimates, and named so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from llm_gateway.core.chat import Text, Thinking, ToolCall, ToolResult
from llm_gateway.policies.hold import estimate_tokens
from llm_gateway.wires import Inbound

# What the frame around a message and around a request costs.
PER_MESSAGE = 4
PER_REQUEST = 3
PER_IMAGE = 1000


def count_chat(inbound: Inbound) -> int:
    """Tokens of a conversation with its tools; images and documents at a flat rate, an embeddings request by its length."""
    if inbound.kind == "embeddings":
        return estimate_tokens(inbound.size)
    chat = inbound.chat()
    texts: list[str] = []
    media = 0
    for message in chat.messages:
        for part in message.parts:
            for text in _texts(part):
                if text is None:
                    media += 1
                elif text:
                    texts.append(text)
    texts += [f"{tool.name} {tool.description or ''} {msgspec.json.encode(tool.parameters).decode()}" for tool in chat.tools]
    frames = PER_MESSAGE * (len(chat.messages) + len(chat.tools))
    return PER_REQUEST + frames + PER_IMAGE * media + sum(count_texts(texts))


def count_texts(texts: list[str]) -> list[int]:
    if not texts:
        return []
    # Its tables take tens of megabytes, so only a process that is asked to count loads them.
    import toktok

    counts: list[int] = toktok.batch_count(texts, "o200k_base")
    return counts


def _texts(part: Any) -> Iterator[str | None]:
    """The texts of a part; ``None`` for a medium."""
    match part:
        case Text() | Thinking():
            yield part.text
        case ToolCall():
            yield part.name
            yield part.arguments
        case ToolResult():
            for inner in part.content:
                yield from _texts(inner)
        case _:
            yield None

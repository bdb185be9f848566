"""The prompt of a request as the log keeps it."""

from __future__ import annotations

import msgspec

from llm_gateway.core.chat import Message, Text
from llm_gateway.wires import Inbound

# Characters of a prompt, and of an answer.
TEXT_LIMIT = 1 << 20


def prompt_of(inbound: Inbound) -> str:
    body = inbound.body
    if body:
        return body[:TEXT_LIMIT].decode("utf-8", "replace")
    shown: list[str] = []
    room = TEXT_LIMIT
    for message in inbound.chat().messages:
        shown.append(msgspec.json.encode(_cut(message)).decode())
        room -= len(shown[-1])
        if room < 0:
            break
    return f"[{','.join(shown)}]"[:TEXT_LIMIT]


def _cut(message: Message) -> Message:
    """As much of a message as the log can keep; the rest would only cost the event loop its encoding."""
    if all(not isinstance(part, Text) or len(part.text) <= TEXT_LIMIT for part in message.parts):
        return message
    parts = [msgspec.structs.replace(one, text=one.text[:TEXT_LIMIT]) if isinstance(one, Text) else one for one in message.parts]
    return msgspec.structs.replace(message, parts=tuple(parts))

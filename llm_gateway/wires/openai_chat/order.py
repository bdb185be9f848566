"""The order that chat hosts want: system text first, and after an assistant's calls the result of
each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from llm_gateway.core.chat import Message, Text
from llm_gateway.wires._order import answered

_SYSTEM = "[System message]\n"


def in_order(messages: Iterable[Message], system_anywhere: bool, matched: bool = False) -> list[Message]:
    """``system_anywhere``: the host takes several system messages, and at any place. ``matched``:
    results follow their calls already."""
    found = list(messages) if system_anywhere else list(_one_system(messages))
    return found if matched else list(answered(found))


def _one_system(messages: Iterable[Message]) -> Iterator[Message]:
    """Templates of many models refuse a second system message, and one that is not the first. The
    leading ones become one; a later one becomes text of the user that says what it is."""
    head: list[Message] = []
    leading = True
    for message in messages:
        if message.role != "system":
            if leading and head:
                yield _joined(head)
            leading = False
            yield message
        elif leading:
            head.append(message)
        else:
            first, *rest = message.parts or (Text(text=""),)
            marked = msgspec.structs.replace(first, text=_SYSTEM + first.text) if isinstance(first, Text) else first
            yield Message(role="user", parts=(marked, *rest))
    if leading and head:
        yield _joined(head)


def _joined(head: list[Message]) -> Message:
    if len(head) == 1:
        return head[0]
    return Message(role="system", parts=tuple(part for message in head for part in message.parts))

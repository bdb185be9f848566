"""The order that chat hosts want: system text first, and after an assistant's calls the result of each of them.

Other formats keep what came between, begin with several instructions, lose results or keep some whose call is gone. A history cannot be
changed by its user, so it is put right here and never refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from llm_gateway.core.chat import Message, Part, Text, ToolCall, ToolResult

MISSING = "No result of this call is in the history."
_SYSTEM = "[System message]\n"


def in_order(messages: Iterable[Message], system_anywhere: bool) -> list[Message]:
    """``system_anywhere``: the host takes several system messages, and at any place."""
    found = list(messages) if system_anywhere else list(_one_system(messages))
    return list(_answered(found))


def _one_system(messages: Iterable[Message]) -> Iterator[Message]:
    """Templates of many models refuse a second system message, and one that is not the first. The leading ones become one; a later one
    becomes text of the user that says what it is."""
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


def _answered(messages: list[Message]) -> Iterator[Message]:
    """Each result right after the message of its call."""
    results: dict[str, list[tuple[int, ToolResult]]] = defaultdict(list)
    for at, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, ToolResult):
                results[part.call_id].append((at, part))
    placed: set[int] = set()
    waiting: tuple[Part, ...] = ()
    for at, message in enumerate(messages):
        parts = tuple(part for part in message.parts for part in _kept(part, placed))
        if message.role == "user":
            # What the user says beside results stays in one message with them.
            if waiting or parts or not message.parts:
                yield msgspec.structs.replace(message, parts=waiting + parts)
            waiting = ()
            continue
        if waiting:
            yield Message(role="user", parts=waiting)
        yield message
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        waiting = tuple(_result(call, at, results, placed) for call in calls)
    if waiting:
        yield Message(role="user", parts=waiting)


def _kept(part: Part, placed: set[int]) -> Iterator[Part]:
    """A part at its own place; not a result that stands after its call."""
    if not isinstance(part, ToolResult):
        yield part
    elif id(part) not in placed:
        yield from _orphan(part)


def _result(call: ToolCall, at: int, results: dict[str, list[tuple[int, ToolResult]]], placed: set[int]) -> ToolResult:
    """The first result after the call that no other call has taken: ids come again in the histories of hosts that give none."""
    for position, part in results.get(call.id, ()):
        if position > at and id(part) not in placed:
            placed.add(id(part))
            return part
    return ToolResult(call_id=call.id, name=call.name, content=(Text(text=MISSING),), custom=call.custom)


def _orphan(result: ToolResult) -> list[Part]:
    """A result whose call is not in the history, as what the user says."""
    name = f" `{result.name}`" if result.name else ""
    return [Text(text=f"Result of an earlier call of a tool{name}:"), *result.content]

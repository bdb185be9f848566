"""The order that providers want: what the model said on its side, and after its calls the result of
each of them.

Clients keep what came between, lose results when somebody interrupts them, cut the head of a long
history off or write a part on the wrong side. OpenAI, Claude and Gemini refuse all of it, and a
history cannot be changed by its user, so it is put right here and never refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from llm_gateway.core.chat import Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult

MISSING = "No result of this call is in the history."


def answered(messages: Iterable[Message]) -> Iterator[Message]:
    """Each result right after the message of its call; a missing one is filled in by a sentence,
    one without a call becomes text."""
    history = [one for message in messages for one in _sides(message)]
    results: dict[str, list[tuple[int, ToolResult]]] = defaultdict(list)
    for at, message in enumerate(history):
        for part in message.parts:
            if isinstance(part, ToolResult):
                results[part.call_id].append((at, part))
    placed: set[int] = set()
    waiting: tuple[Part, ...] = ()
    for at, message in enumerate(history):
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


def _sides(message: Message) -> Iterator[Message]:
    """Calls and thoughts are the model's, results the user's, whoever is said to have said them."""
    if message.role == "system":
        yield message
        return
    stray = ToolResult if message.role == "assistant" else (ToolCall, Thinking, Refusal)
    if not any(isinstance(part, stray) for part in message.parts):
        yield message
        return
    theirs = tuple(part for part in message.parts if isinstance(part, stray))
    rest = tuple(part for part in message.parts if not isinstance(part, stray))
    if message.role == "user":
        yield Message(role="assistant", parts=theirs)
        if rest:
            yield msgspec.structs.replace(message, parts=rest)
    else:
        if rest:
            yield msgspec.structs.replace(message, parts=rest)
        yield Message(role="user", parts=theirs)


def _kept(part: Part, placed: set[int]) -> Iterator[Part]:
    """A part at its own place; not a result that stands after its call."""
    if not isinstance(part, ToolResult):
        yield part
    elif id(part) not in placed:
        yield from _orphan(part)


def _result(call: ToolCall, at: int, results: dict[str, list[tuple[int, ToolResult]]], placed: set[int]) -> ToolResult:
    """The first result after the call that no other call has taken: ids come again in the histories
    of hosts that give none."""
    for position, part in results.get(call.id, ()):
        if position > at and id(part) not in placed:
            placed.add(id(part))
            return part
    return ToolResult(call_id=call.id, name=call.name, content=(Text(text=MISSING),), custom=call.custom)


def _orphan(result: ToolResult) -> list[Part]:
    """A result whose call is not in the history, as what the user says."""
    name = f" `{result.name}`" if result.name else ""
    return [Text(text=f"Result of an earlier call of a tool{name}:"), *result.content]

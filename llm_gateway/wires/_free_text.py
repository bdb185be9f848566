"""Calls of free-text tools from formats that only know JSON arguments: ``{"input": "…"}`` becomes the text again.

The counterpart of :func:`~llm_gateway.wires._arguments.as_object`. A stream's arguments are held until they are whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse, ToolCall
from llm_gateway.core.events import CONTENT, Done, Event, Finish, ToolDelta, ToolStart

_OF_A_CHOICE = (*CONTENT, Finish)


class FreeTextCalls:
    """Over the events of one stream, in order."""

    __slots__ = ("_held", "_names")

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._held: dict[tuple[int, int], list[str]] = {}

    @classmethod
    def wanted(cls, chat: ChatRequest | None) -> FreeTextCalls | None:
        names = frozenset(tool.name for tool in chat.tools if tool.custom) if chat else frozenset()
        return cls(names) if names else None

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case ToolStart(custom=False) if event.name in self._names:
                    yield from self._release(event.choice)
                    self._held[event.choice, event.index] = []
                    yield msgspec.structs.replace(event, custom=True)
                case ToolDelta() if (held := self._held.get((event.choice, event.index))) is not None:
                    held.append(event.arguments)
                case Done():
                    yield from self._release()
                    yield event
                case _:
                    # Whatever else the answer says, its call is whole: a caller's format closes it.
                    if self._held and isinstance(event, _OF_A_CHOICE):
                        yield from self._release(event.choice)
                    yield event

    def rest(self) -> Iterator[Event]:
        """The calls that were whole when the stream broke off."""
        self._held = {key: pieces for key, pieces in self._held.items() if isinstance(_value("".join(pieces)), dict)}
        yield from self._release()

    def of(self, response: ChatResponse) -> ChatResponse:
        choices = []
        for choice in response.choices:
            parts = tuple(
                msgspec.structs.replace(part, custom=True, arguments=text_of(part.arguments))
                if isinstance(part, ToolCall) and not part.custom and part.name in self._names
                else part
                for part in choice.parts
            )
            choices.append(msgspec.structs.replace(choice, parts=parts))
        return msgspec.structs.replace(response, choices=tuple(choices))

    def _release(self, of: int | None = None) -> Iterator[Event]:
        """``of``: only this choice's."""
        for choice, index in [key for key in self._held if of is None or key[0] == of]:
            yield ToolDelta(index, text_of("".join(self._held.pop((choice, index)))), choice)


def text_of(arguments: str) -> str:
    """What the model wrote into the one field it was given, or all it wrote."""
    value = _value(arguments)
    if isinstance(value, dict) and isinstance(text := value.get("input"), str):
        return text
    return "" if value == {} else arguments


def _value(arguments: str) -> Any:
    return json.lenient(arguments.encode("utf-8", "replace")) if arguments else None

"""Calls whose arguments a caller has to get otherwise than the provider wrote them: held in a
stream until they are whole.

- Free text from formats that only know JSON arguments: ``{"input": "…"}`` becomes the text again,
  the counterpart of :func:`~llm_gateway.wires._arguments.as_object`.
- Arguments whose names the wire did not take (:mod:`~llm_gateway.wires._keys`) get the caller's
  names back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse, ToolCall
from llm_gateway.core.events import CONTENT, Done, Event, Finish, ToolDelta, ToolStart

from ._keys import fitted_keys, renamed_arguments
from ._limits import Limits

_OF_A_CHOICE = (*CONTENT, Finish)
Change = Callable[[str], str]


class HeldCalls:
    """Over the events of one stream, in order. ``changes``: what becomes of the arguments, by the
    tool's name; ``free``: the tools whose arguments are free text."""

    __slots__ = ("_changes", "_free", "_held")

    def __init__(self, changes: Mapping[str, Change], free: frozenset[str] = frozenset()) -> None:
        self._changes = changes
        self._free = free
        self._held: dict[tuple[int, int], tuple[Change, list[str]]] = {}

    @classmethod
    def wanted(cls, chat: ChatRequest | None, held: Limits | None) -> HeldCalls | None:
        """``held``: the limits that the request was fitted to, where it was."""
        changes: dict[str, Change] = {}
        free = set()
        for tool in chat.tools if chat else ():
            if tool.custom:
                free.add(tool.name)
                changes[tool.name] = text_of
            elif held is not None and not tool.builtin and (names := fitted_keys(tool.parameters, held)):
                changes[tool.name] = partial(renamed_arguments, names={fitted: name for name, fitted in names.items()})
        return cls(changes, frozenset(free)) if changes else None

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case ToolStart(custom=False) if (change := self._changes.get(event.name)) is not None:
                    yield from self._release(event.choice)
                    self._held[event.choice, event.index] = (change, [])
                    yield msgspec.structs.replace(event, custom=event.name in self._free)
                case ToolDelta() if (held := self._held.get((event.choice, event.index))) is not None:
                    held[1].append(event.arguments)
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
        self._held = {key: held for key, held in self._held.items() if isinstance(_value("".join(held[1])), dict)}
        yield from self._release()

    def of(self, response: ChatResponse) -> ChatResponse:
        choices = [
            msgspec.structs.replace(choice, parts=tuple(self._call(part) if isinstance(part, ToolCall) else part for part in choice.parts))
            for choice in response.choices
        ]
        return msgspec.structs.replace(response, choices=tuple(choices))

    def _call(self, call: ToolCall) -> ToolCall:
        change = None if call.custom else self._changes.get(call.name)
        if change is None:
            return call
        return msgspec.structs.replace(call, custom=call.name in self._free, arguments=change(call.arguments))

    def _release(self, of: int | None = None) -> Iterator[Event]:
        """``of``: only this choice's."""
        for choice, index in [key for key in self._held if of is None or key[0] == of]:
            change, pieces = self._held.pop((choice, index))
            yield ToolDelta(index, change("".join(pieces)), choice)


def text_of(arguments: str) -> str:
    """What the model wrote into the one field it was given, or all it wrote."""
    value = _value(arguments)
    if isinstance(value, dict) and isinstance(text := value.get("input"), str):
        return text
    return "" if value == {} else arguments


def _value(arguments: str) -> Any:
    return json.lenient(arguments.encode("utf-8", "replace")) if arguments else None

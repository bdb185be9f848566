"""What a provider answered, on its way to a caller of another format: whole or streamed, in one
place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count

import msgspec

from llm_gateway.core.chat import ChatRequest, ChatResponse, ToolCall
from llm_gateway.core.events import Event, ToolStart

from ._base import Wire
from ._first_call import FirstCallOnly
from ._format import limits
from ._held_calls import HeldCalls
from ._issuers import stamped, stamped_whole
from ._limits import Limits, fitting_name
from ._stop_cut import StopCut
from ._turns import InTurn


class WayBack:
    """For one answer. ``chat``: the caller's request, where it could be read; ``issuer``: whose
    tokens the answer holds; ``stops``: the sequences at which we cut it, as the provider does
    not."""

    __slots__ = ("_calls", "_cut", "_first", "_given", "_issuer", "_names", "_turns")

    def __init__(self, chat: ChatRequest | None, wire: Wire, issuer: str, stops: tuple[str, ...] = ()) -> None:
        self._cut = StopCut(stops) if stops else None
        # A format that cannot ask for one tool call at a time gets its answer cut instead.
        self._first = FirstCallOnly() if chat and chat.parallel_tool_calls is False and not wire.one_call else None
        held = limits.get(wire.name) if chat and chat.origin != wire.name and wire.name in limits else None
        self._names = callers_names(chat, held) if chat and held else {}
        self._calls = HeldCalls.wanted(chat, held)
        self._issuer = issuer
        self._turns = InTurn()
        self._given: set[tuple[int, str]] = set()

    def events(self, events: Iterable[Event]) -> Iterable[Event]:
        events = self._turns(events)
        return self._told(self._cut(events) if self._cut else events)

    def rest(self) -> Iterable[Event]:
        """What still waits for its turn when the stream breaks off."""
        rest: Iterable[Event] = self._turns.rest()
        if self._cut:
            rest = chain(self._cut(rest), self._cut.rest())
        told = self._told(rest)
        return chain(told, self._calls.rest()) if self._calls else told

    def _told(self, events: Iterable[Event]) -> Iterable[Event]:
        events = map(self._told_apart, stamped(events, self._issuer))
        if self._first:
            events = self._first(events)
        if self._names:
            events = self._renamed(events)
        return self._calls(events) if self._calls else events

    def whole(self, response: ChatResponse) -> ChatResponse:
        response = self._apart(stamped_whole(response, self._issuer))
        if self._cut:
            response = self._cut.of(response)
        if self._first:
            response = FirstCallOnly.of(response)
        if self._names:
            response = _renamed(response, self._names)
        return self._calls.of(response) if self._calls else response

    def _told_apart(self, event: Event) -> Event:
        """Some hosts give every call of an answer the same id; the results could not be told
        apart."""
        if not isinstance(event, ToolStart):
            return event
        own = self._unique(event.choice, event.id, event.index)
        return event if own == event.id else msgspec.structs.replace(event, id=own)

    def _unique(self, choice: int, call_id: str, index: int) -> str:
        own = f"{call_id}_{index + 1}" if (choice, call_id) in self._given else call_id
        self._given.add((choice, own))
        return own

    def _apart(self, response: ChatResponse) -> ChatResponse:
        if all(len({call.id for call in choice.tool_calls}) == len(choice.tool_calls) for choice in response.choices):
            return response
        choices = []
        for choice in response.choices:
            numbers = count()
            parts = tuple(
                msgspec.structs.replace(part, id=self._unique(choice.index, part.id, next(numbers))) if isinstance(part, ToolCall) else part
                for part in choice.parts
            )
            choices.append(msgspec.structs.replace(choice, parts=parts))
        return msgspec.structs.replace(response, choices=tuple(choices))

    def _renamed(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, ToolStart) and (whole := self._names.get(event.name)):
                yield msgspec.structs.replace(event, name=whole)
            else:
                yield event


def callers_names(chat: ChatRequest, held: Limits) -> dict[str, str]:
    """The caller's own tool names by the names that the wire was given, where they differ."""
    names = [tool.name for tool in chat.tools if not tool.builtin]
    names += [part.name for message in chat.messages for part in message.parts if isinstance(part, ToolCall)]
    whole = {fitted: name for name in names if (fitted := fitting_name(name, held)) != name}
    return {fitted: name for fitted, name in whole.items() if fitted not in names}


def _renamed(response: ChatResponse, names: dict[str, str]) -> ChatResponse:
    choices = []
    for choice in response.choices:
        parts = tuple(
            msgspec.structs.replace(part, name=names[part.name]) if isinstance(part, ToolCall) and part.name in names else part
            for part in choice.parts
        )
        choices.append(msgspec.structs.replace(choice, parts=parts))
    return msgspec.structs.replace(response, choices=tuple(choices))

"""One tool call per answer, for formats that cannot ask for it: the first call of each choice
stays, later ones go.

The model is asked again with the first call's result, and calls again if it still wants to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from llm_gateway.core.chat import ChatResponse, Choice, ToolCall
from llm_gateway.core.events import Event, ToolDelta, ToolStart


class FirstCallOnly:
    """Over the events of one stream, in order."""

    __slots__ = ("_first",)

    def __init__(self) -> None:
        self._first: dict[int, int] = {}

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if not isinstance(event, ToolStart | ToolDelta) or self._first.setdefault(event.choice, event.index) == event.index:
                yield event

    @staticmethod
    def of(response: ChatResponse) -> ChatResponse:
        return msgspec.structs.replace(response, choices=tuple(_first(choice) for choice in response.choices))


def _first(choice: Choice) -> Choice:
    later = choice.tool_calls[1:]
    if not later:
        return choice
    return msgspec.structs.replace(
        choice, parts=tuple(part for part in choice.parts if not (isinstance(part, ToolCall) and any(part is one for one in later)))
    )

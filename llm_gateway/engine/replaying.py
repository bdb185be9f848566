"""A kept answer as a stream: all of it is there at once, and its row is written already."""

from __future__ import annotations

from collections.abc import Sequence

from llm_gateway.core.events import Event, Frame

from .calls import StreamAnswer, Summary


class Replay:
    """One batch, then the end."""

    __slots__ = ("_answer", "_events", "_summary")

    def __init__(self, events: Sequence[Event], answer: StreamAnswer, summary: Summary) -> None:
        self._events: Sequence[Event] | None = events
        self._answer = answer
        self._summary = summary

    def __aiter__(self) -> Replay:
        return self

    async def __anext__(self) -> list[Frame]:
        events, self._events = self._events, None
        if events is None:
            raise StopAsyncIteration
        self._answer.summary = self._summary
        return [Frame(b"", (event,)) for event in events]

    async def aclose(self, stalled: bool = False) -> None:
        self._events = None

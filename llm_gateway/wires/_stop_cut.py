"""Stop sequences of providers that take none: the answer is cut here, as the provider would have
cut it.

The provider goes on to its own end, so the usage that is told and billed is what it really
generated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llm_gateway.core.chat import ChatResponse, FinishReason
from llm_gateway.core.events import CONTENT, Event, Finish, TextDelta, collect, replay


class StopCut:
    """Over the events of one stream, in order. Text that may be the beginning of a stop sequence
    waits for what follows it."""

    __slots__ = ("_ended", "_held", "_stops")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held: dict[int, str] = {}
        # The sequence that ended a choice.
        self._ended: dict[int, str] = {}

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case TextDelta():
                    yield from self._text(event)
                case Finish():
                    yield from self._release(event.choice)
                    stop = self._ended.get(event.choice)
                    yield event if stop is None else Finish(FinishReason.STOP_SEQUENCE, event.raw, stop, event.choice)
                case _ if isinstance(event, CONTENT):
                    choice: int = event.choice
                    yield from self._release(choice)
                    if choice not in self._ended:
                        yield event
                case _:
                    yield event

    def of(self, response: ChatResponse) -> ChatResponse:
        return collect(self(replay(response)))

    def rest(self) -> Iterator[Event]:
        """What still waited when the stream broke off."""
        for choice in list(self._held):
            yield from self._release(choice)

    def _text(self, event: TextDelta) -> Iterator[Event]:
        if event.choice in self._ended:
            return
        text = self._held.pop(event.choice, "") + event.text
        # The one that is whole first, as a model that stops would have it.
        hits = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        found = min(hits, key=lambda hit: (hit[0] + len(hit[1]), hit[0]), default=None)
        if found is not None:
            self._ended[event.choice] = found[1]
            text = text[: found[0]]
        elif keep := self._beginning(text):
            self._held[event.choice] = text[-keep:]
            text = text[:-keep]
        if text:
            yield TextDelta(text, event.choice)

    def _beginning(self, text: str) -> int:
        """How many characters at the end of ``text`` a stop sequence could begin with."""
        longest = min(len(text), max(map(len, self._stops)) - 1)
        return next((size for size in range(longest, 0, -1) if any(stop.startswith(text[-size:]) for stop in self._stops)), 0)

    def _release(self, choice: int) -> Iterator[Event]:
        if text := self._held.pop(choice, ""):
            yield TextDelta(text, choice)

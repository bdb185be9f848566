"""The events of a stream with one call open at a time, and one finish per answer at its end.

Hosts mix the pieces of parallel calls, put text between them, or finish an answer twice. The
formats of callers open a block, fill it and close it; a call that is closed before its arguments
are there reaches the agent empty. What comes while a call is open waits until the call is whole:
its arguments are a JSON object, or the answer has finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llm_gateway.core import json
from llm_gateway.core.events import CONTENT, Done, Event, Failed, Finish, ToolDelta, ToolStart


class _Answer:
    __slots__ = ("arguments", "closed", "finish", "open", "waiting")

    def __init__(self) -> None:
        self.open: ToolStart | None = None
        self.arguments: list[str] = []
        self.closed: set[int] = set()
        self.waiting: list[Event] = []
        self.finish: Finish | None = None

    def whole(self) -> bool:
        """Whether the open call needs no more. Free text ends only with the answer."""
        if self.open is None:
            return True
        if self.open.custom or not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        return isinstance(json.lenient("".join(self.arguments).encode("utf-8", "replace")), dict)


class InTurn:
    """Over the events of one stream, in order. Deltas of a call that was whole already are dropped:
    nothing can be added to JSON."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {}

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case Finish():
                    self._answer(event.choice).finish = event
                case Done() | Failed():
                    yield from self._end(finished=isinstance(event, Done))
                    yield event
                case _ if isinstance(event, CONTENT):
                    yield from self._content(event, self._answer(event.choice))
                case _:
                    yield event

    def _answer(self, choice: int) -> _Answer:
        found = self._answers.get(choice)
        if found is None:
            found = self._answers[choice] = _Answer()
        return found

    def _content(self, event: Event, at: _Answer) -> Iterator[Event]:
        if isinstance(event, ToolDelta):
            if at.open is not None and event.index == at.open.index:
                at.arguments.append(event.arguments)
                yield event
                if at.waiting and at.whole():
                    yield from self._release(at)
            elif event.index not in at.closed:
                at.waiting.append(event)
            return
        if at.waiting or not at.whole():
            at.waiting.append(event)
            return
        yield from self._open(event, at)

    @staticmethod
    def _open(event: Event, at: _Answer) -> Iterator[Event]:
        if at.open is not None:
            at.closed.add(at.open.index)
            at.open = None
        if isinstance(event, ToolStart):
            at.open = event
            at.arguments = []
        yield event

    def _release(self, at: _Answer, last: bool = False) -> Iterator[Event]:
        """What waited, call by call. ``last``: no more comes, so every call is as whole as it will
        be."""
        while at.waiting and (last or at.whole()):
            first, *rest = at.waiting
            at.waiting = rest
            if isinstance(first, ToolDelta):
                # Of a call that never began.
                continue
            yield from self._open(first, at)
            if isinstance(first, ToolStart):
                mine = [event for event in rest if _belongs(event, first)]
                at.waiting = [event for event in rest if not _belongs(event, first)]
                at.arguments += [event.arguments for event in mine if isinstance(event, ToolDelta)]
                yield from mine

    def rest(self) -> Iterator[Event]:
        """What still waits when the stream breaks off."""
        for at in self._answers.values():
            yield from self._release(at, last=True)

    def _end(self, finished: bool) -> Iterator[Event]:
        yield from self.rest()
        for at in self._answers.values():
            if finished and at.finish is not None:
                yield at.finish


def _belongs(event: Event, start: ToolStart) -> bool:
    return isinstance(event, ToolDelta) and event.index == start.index

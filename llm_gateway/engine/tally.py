"""What a stream amounts to so far: enough to settle it whenever it ends."""

from __future__ import annotations

from collections.abc import Callable

from llm_gateway.core.chat import FinishReason
from llm_gateway.core.errors import Failure
from llm_gateway.core.events import (
    CONTENT,
    Done,
    Event,
    Failed,
    Finish,
    Frame,
    PartAdded,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ThinkingMark,
    ToolDelta,
    ToolStart,
    UsageReport,
)
from llm_gateway.core.usage import Usage
from llm_gateway.wires import Counted

from .spoken import Spoken

_OF_A_CHOICE = (*CONTENT, Finish)


class Tally:
    """Fed with every frame in order. ``extra``: something came after the end. ``chars`` counts all generated text, thoughts and tool
    arguments included; ``text`` keeps it only where asked. ``marked``: the format ends with a mark; else a choice ends with its finish.
    ``on_token``: hears of every token of the model's thinking."""

    __slots__ = (
        "_finished", "_marked", "chars", "content", "done", "extra", "failure", "finish", "keep", "model", "on_token", "spoken", "text",
        "usage",
    )  # fmt: skip

    def __init__(self, keep: bool = False, marked: bool = False) -> None:
        self._marked = marked
        self.chars = 0
        self.content = False
        self.done = False
        self.extra = False
        self._finished: set[int] = set()
        self.finish: FinishReason | None = None
        self.failure: Failure | None = None
        self.model = ""
        self.usage: Usage | None = None
        self.keep = keep
        self.text: list[str] = []
        self.on_token: Callable[[str], None] | None = None
        self.spoken = Spoken()

    def take(self, counted: Counted) -> None:
        """A whole answer that was read at a glance."""
        self.model = counted.model
        self.finish = counted.finish
        self.chars = counted.chars
        self.content = counted.content
        self.usage = counted.usage
        self.done = True

    def add(self, frames: list[Frame]) -> list[Frame]:
        """The frames that are the answer's: what comes after its end is dropped (U39)."""
        if self._finished:
            return self._late(frames)
        for position, frame in enumerate(frames, 1):
            for event in frame.events:
                self._event(event)
            if self._finished or self.done:
                return frames[:position] + self._late(frames[position:])
        return frames

    def _late(self, frames: list[Frame]) -> list[Frame]:
        """Frames after the finish of a choice: usage and the end mark are due. More of a finished choice is the answer's where the end has
        a mark of its own, as hosts finish twice and go on in between."""
        kept = []
        for frame in frames:
            if self.done or (not self._marked and any(self._belongs_to_a_finished(event) for event in frame.events)):
                self.extra = self.extra or bool(frame.events)
                continue
            for event in frame.events:
                self._event(event)
            kept.append(frame)
        return kept

    def _belongs_to_a_finished(self, event: Event) -> bool:
        return isinstance(event, _OF_A_CHOICE) and event.choice in self._finished

    def _event(self, event: Event) -> None:
        match event:
            case TextDelta() | ThinkingDelta() | RefusalDelta():
                self.content = True
                self.chars += len(event.text)
                if not isinstance(event, ThinkingDelta):
                    self.spoken.text(event)
                    if self.keep:
                        self.text.append(event.text)
            case ToolDelta():
                self.content = True
                self.chars += len(event.arguments)
                self.spoken.call(event)
                if self.keep:
                    self.text.append(event.arguments)
            case ToolStart():
                self.content = True
                self.chars += len(event.name)
                self.spoken.call(event)
                self._token(event.signature)
                if self.keep:
                    self.text.append(f"\n[{event.name}] ")
            case ThinkingMark():
                self.content = True
                self._token(event.signature or event.redacted or event.id)
            case PartAdded():
                self.content = True
            case Finish():
                self.finish = event.reason if self._marked else self.finish or event.reason
                self._finished.add(event.choice)
            case UsageReport():
                self.usage = self.usage.later(event.usage) if self.usage else event.usage
            case Failed():
                self.failure = self.failure or event.failure
            case Done():
                self.done = True
            case Start():
                self.model = self.model or event.model
            case _:
                pass

    def _token(self, token: str | None) -> None:
        if token and self.on_token:
            self.on_token(token)

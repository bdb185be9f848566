"""What a stream amounts to so far: enough to settle it whenever it ends."""

from __future__ import annotations

from collections.abc import Iterable

from llm_gateway.core.chat import FinishReason
from llm_gateway.core.errors import Failure
from llm_gateway.core.events import (
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


class Tally:
    """Fed with every frame in order. ``chars`` counts all generated text, thoughts and tool arguments included; ``text`` keeps it only
    where asked."""

    __slots__ = ("chars", "content", "done", "failure", "finish", "keep", "model", "text", "usage")

    def __init__(self, keep: bool = False) -> None:
        self.chars = 0
        self.content = False
        self.done = False
        self.finish: FinishReason | None = None
        self.failure: Failure | None = None
        self.model = ""
        self.usage: Usage | None = None
        self.keep = keep
        self.text: list[str] = []

    def add(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            for event in frame.events:
                self._event(event)

    def _event(self, event: Event) -> None:
        match event:
            case TextDelta() | ThinkingDelta() | RefusalDelta():
                self.content = True
                self.chars += len(event.text)
                if self.keep and not isinstance(event, ThinkingDelta):
                    self.text.append(event.text)
            case ToolDelta():
                self.content = True
                self.chars += len(event.arguments)
                if self.keep:
                    self.text.append(event.arguments)
            case ToolStart():
                self.content = True
                self.chars += len(event.name)
                if self.keep:
                    self.text.append(f"\n[{event.name}] ")
            case ThinkingMark() | PartAdded():
                self.content = True
            case Finish():
                self.finish = self.finish or event.reason
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

"""What an answer said, kept for as long as it takes to score it: its text and its tool calls, of the first choice."""

from __future__ import annotations

from llm_gateway.core.events import Event, RefusalDelta, TextDelta, ToolDelta, ToolStart

# What is longer is not scored; keeping it would cost every stream its memory.
MOST_CHARS = 256 << 10
# So many pieces are joined into one: a piece of four letters takes sixty bytes.
_PIECES = 256


class Spoken:
    """Fed with the content events of an answer. ``whole``: nothing was left out for its length, and there is one choice."""

    __slots__ = ("_calls", "_chars", "_pieces", "body", "whole")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._calls: list[tuple[str, bool, list[str]]] = []
        self._chars = 0
        self.whole = True
        # A whole answer that was read at a glance, in the format of its provider.
        self.body: bytes | None = None

    def text(self, event: TextDelta | RefusalDelta) -> None:
        self._chars += len(event.text)
        if event.choice or self._chars > MOST_CHARS:
            self._give_up()
            return
        self._pieces.append(event.text)
        if len(self._pieces) >= _PIECES:
            self._pieces = ["".join(self._pieces)]

    def call(self, event: Event) -> None:
        if isinstance(event, ToolStart):
            if event.choice or len(self._calls) >= 128:
                self._give_up()
            else:
                self._calls.append((event.name, event.custom, []))
        elif isinstance(event, ToolDelta):
            self._chars += len(event.arguments)
            if event.choice or self._chars > MOST_CHARS or event.index >= len(self._calls) or event.index < 0:
                self._give_up()
            else:
                self._calls[event.index][2].append(event.arguments)

    def read(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """(text, (tool, arguments) of each call whose arguments are JSON)."""
        return "".join(self._pieces), tuple((name, "".join(arguments)) for name, custom, arguments in self._calls if not custom)

    @property
    def size(self) -> int:
        return self._chars + (len(self.body) if self.body else 0)

    def _give_up(self) -> None:
        self.whole = False
        self._pieces, self._calls = [], []

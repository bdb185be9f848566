"""The events of a stream, independent of the wire, and :func:`collect`, which folds them into a
response.

Deltas carry ``choice`` (which of n answers). Order within a choice is the provider's. A wire emits
:class:`Done` only for the protocol's own terminal mark (``[DONE]``, ``message_stop``,
``response.completed``; end of file after a finish reason where the format has no mark), so a broken
stream differs from a finished one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from .chat import ChatResponse, Choice, FinishReason, Part, Refusal, Text, Thinking, ToolCall
from .errors import Failure
from .usage import Usage


class Event(msgspec.Struct, frozen=True):
    """Base of the union below."""


class Start(Event, frozen=True):
    """The response's id and model; no content."""

    id: str = ""
    model: str = ""
    created: int | None = None


class TextDelta(Event, frozen=True):
    text: str
    choice: int = 0


class ThinkingDelta(Event, frozen=True):
    text: str
    choice: int = 0


class ThinkingMark(Event, frozen=True):
    """Closes the thinking so far with its ``signature``, or stands for a ``redacted`` block.
    ``wire``: the format it belongs to; ``issuer``: the provider and model family that made it."""

    signature: str | None = None
    redacted: str | None = None
    wire: str | None = None
    id: str | None = None
    choice: int = 0
    issuer: str | None = None


class RefusalDelta(Event, frozen=True):
    text: str
    choice: int = 0


class ToolStart(Event, frozen=True):
    """A call begins. ``index`` counts the calls of a choice from 0 and binds its deltas."""

    index: int
    id: str
    name: str
    custom: bool = False
    signature: str | None = None
    choice: int = 0
    issuer: str | None = None


class ToolDelta(Event, frozen=True):
    index: int
    arguments: str
    choice: int = 0


class PartAdded(Event, frozen=True):
    """A whole part that does not stream (an image, a provider-side tool's result)."""

    part: Part
    choice: int = 0


class Finish(Event, frozen=True):
    """A choice is complete."""

    reason: FinishReason
    raw: str | None = None
    stop_sequence: str | None = None
    choice: int = 0


class UsageReport(Event, frozen=True):
    """Cumulative: merge with :meth:`Usage.later`."""

    usage: Usage


class Failed(Event, frozen=True):
    """The provider reported an error inside the stream."""

    failure: Failure


class Done(Event, frozen=True):
    """The protocol's terminal mark."""


CONTENT = (TextDelta, ThinkingDelta, ThinkingMark, RefusalDelta, ToolStart, ToolDelta, PartAdded)


class Frame(msgspec.Struct, frozen=True):
    """One unit of a decoded stream: the bytes as they arrived and the events they mean.

    ``usage_only``: the frame exists only because the gateway asked for usage; a relay drops it
    unless the caller asked too. ``mended``: what a caller of the same format gets instead of
    ``raw``, where the provider broke its own format.
    """

    raw: bytes
    events: tuple[Event, ...] = ()
    usage_only: bool = False
    mended: bytes | None = None

    @property
    def shown(self) -> bytes:
        return self.raw if self.mended is None else self.mended


class _Building:
    __slots__ = ("calls", "finish", "kind", "parts", "raw", "stop_sequence", "text")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.kind = ""
        self.text: list[str] = []
        self.calls: dict[int, tuple[int, ToolStart, list[str]]] = {}
        self.finish: FinishReason | None = None
        self.raw: str | None = None
        self.stop_sequence: str | None = None

    def add(self, kind: str, text: str) -> None:
        if kind != self.kind:
            self.flush()
            self.kind = kind
        self.text.append(text)

    def flush(self, mark: ThinkingMark | None = None) -> None:
        text = "".join(self.text)
        if self.kind == "thinking" or mark:
            if text or mark:
                self.parts.append(
                    Thinking(
                        text=text,
                        signature=mark.signature if mark else None,
                        redacted=mark.redacted if mark else None,
                        wire=mark.wire if mark else None,
                        issuer=mark.issuer if mark else None,
                        id=mark.id if mark else None,
                    )
                )
        elif self.kind == "text" and text:
            self.parts.append(Text(text=text))
        elif self.kind == "refusal" and text:
            self.parts.append(Refusal(text=text))
        self.kind, self.text = "", []

    def done(self, index: int) -> Choice:
        self.flush()
        parts = list(self.parts)
        for position, start, arguments in self.calls.values():
            parts[position] = ToolCall(
                id=start.id,
                name=start.name,
                arguments="".join(arguments),
                custom=start.custom,
                signature=start.signature,
                issuer=start.issuer,
            )
        return Choice(index=index, parts=tuple(parts), finish=self.finish, raw_finish=self.raw, stop_sequence=self.stop_sequence)


def collect(events: Iterable[Event]) -> ChatResponse:
    """Fold a stream into the response it stands for; equals the wire's ``decode_response`` of the
    same answer unstreamed.

    :class:`Failed` and :class:`Done` are left to the caller.
    """
    start = Start()
    usage: Usage | None = None
    choices: dict[int, _Building] = {}
    for event in events:
        if isinstance(event, Start):
            start = event if not start.id else start
            continue
        if isinstance(event, UsageReport):
            usage = usage.later(event.usage) if usage else event.usage
            continue
        if isinstance(event, Failed | Done):
            continue
        at = choices.setdefault(event.choice, _Building())  # type: ignore[attr-defined]  # every other event names its choice
        match event:
            case TextDelta():
                at.add("text", event.text)
            case ThinkingDelta():
                at.add("thinking", event.text)
            case RefusalDelta():
                at.add("refusal", event.text)
            case ThinkingMark():
                if at.kind != "thinking":
                    at.flush()
                at.flush(event)
            case ToolStart():
                at.flush()
                at.calls[event.index] = (len(at.parts), event, [])
                at.parts.append(Text(text=""))
            case ToolDelta():
                if event.index in at.calls:
                    at.calls[event.index][2].append(event.arguments)
            case PartAdded():
                at.flush()
                at.parts.append(event.part)
            case Finish():
                at.finish, at.raw, at.stop_sequence = event.reason, event.raw, event.stop_sequence
    return ChatResponse(
        id=start.id,
        model=start.model,
        created=start.created,
        usage=usage,
        choices=tuple(at.done(index) for index, at in sorted(choices.items())),
    )


def replay(response: ChatResponse) -> list[Event]:
    """The stream a whole response stands for, for callers that asked for one.
    ``collect(replay(r))`` equals ``r``, but for neighbouring texts, which become one."""
    events: list[Event] = [Start(response.id, response.model, response.created)]
    for choice in response.choices:
        at = choice.index
        calls = 0
        for part, following in pairwise((*choice.parts, None)):
            match part:
                case Text():
                    events.append(TextDelta(part.text, at))
                case Thinking():
                    if part.text:
                        events.append(ThinkingDelta(part.text, at))
                    if part.signature or part.redacted or part.wire or part.id or isinstance(following, Thinking):
                        events.append(ThinkingMark(part.signature, part.redacted, part.wire, part.id, at, part.issuer))
                case Refusal():
                    events.append(RefusalDelta(part.text, at))
                case ToolCall():
                    events.append(ToolStart(calls, part.id, part.name, part.custom, part.signature, at, part.issuer))
                    if part.arguments:
                        events.append(ToolDelta(calls, part.arguments, at))
                    calls += 1
                case Part():
                    events.append(PartAdded(part, at))
        if choice.finish:
            events.append(Finish(choice.finish, choice.raw_finish, choice.stop_sequence, at))
    if response.usage:
        events.append(UsageReport(response.usage))
    events.append(Done())
    return events

"""A chat answer, whole or in chunks, as events. One machine reads both, so a stream and its whole
twin cannot differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from llm_gateway.core.chat import FinishReason, Image
from llm_gateway.core.events import (
    Event,
    Finish,
    PartAdded,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    UsageReport,
)
from llm_gateway.wires import _halves
from llm_gateway.wires._openai.inbound import split_data_url
from llm_gateway.wires._openai.usage import decode_usage

from .calls import Calls, Repair
from .chunks import CallDelta, Chunk, ChunkChoice, Delta

_FINISH: Final = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,  # Together
    "eos_token": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "complete": FinishReason.STOP,
    "1": FinishReason.STOP,  # Google's numbers
    "2": FinishReason.LENGTH,
    "3": FinishReason.CONTENT_FILTER,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "max_length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "tool_call": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # Z.ai
    "refusal": FinishReason.REFUSAL,
    "error": FinishReason.MODEL_FAULT,
    "abort": FinishReason.MODEL_FAULT,
    "network_error": FinishReason.MODEL_FAULT,  # Z.ai
    "insufficient_system_resource": FinishReason.MODEL_FAULT,  # DeepSeek
}


class _Answer:
    """One of the answers. ``finish``: the last one told."""

    __slots__ = ("calls", "finish", "refused")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.refused = False
        self.finish: Finish | None = None


class Reader:
    """Turns chunks into events; keeps what binds them (which call a delta belongs to, who has
    finished).

    Of the last chunk, for strict readers of its own format: ``first`` are the places of choices
    that began with it, ``repairs`` what its calls lack, by place of the choice and place of the
    call.
    """

    __slots__ = ("_answers", "_halves", "_seed", "_started", "first", "repairs")

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {}
        self._halves = _halves.Halves()
        self._started = False
        self._seed = ""
        self.first: tuple[int, ...] = ()
        self.repairs: dict[tuple[int, int], Repair] = {}

    @property
    def complete(self) -> bool:
        """Every answer that began has its finish reason, and there is one."""
        return bool(self._answers) and all(answer.finish for answer in self._answers.values())

    @property
    def plain(self) -> bool:
        """Whether what one more piece of a text means depends on that piece alone: nobody began
        with the last chunk, nobody calls tools, and no half of a character waits."""
        return not (self.first or self.repairs or self._halves.held or any(answer.calls.all for answer in self._answers.values()))

    def read(self, chunk: Chunk) -> list[Event]:
        events: list[Event] = []
        self.first = ()
        if self.repairs:
            self.repairs = {}
        if not self._started and (chunk.id or chunk.choices):
            self._started = True
            self._seed = f"{chunk.id or ''}:{chunk.created or ''}" if chunk.created else chunk.id or ""
            events.append(Start(chunk.id or "", chunk.model or "", int(chunk.created) if chunk.created is not None else None))
        for position, choice in enumerate(chunk.choices or ()):
            index = position if choice.index is None else choice.index
            at = self._answers.get(index)
            if at is None:
                at = self._answers[index] = _Answer(Calls(self._seed, index))
                self.first += (position,)
            if choice.delta is not None:
                self._delta(choice.delta, index, at, events, position)
            elif choice.message is not None:
                self._delta(choice.message, index, at, events, position, whole=True)
            elif choice.text:
                self._say(TextDelta, choice.text, index, at, events)
            if choice.finish_reason:
                self._finish(choice, _word(choice.finish_reason), index, at, events)
        usage = chunk.usage or (chunk.x_groq and chunk.x_groq.get("usage"))
        if usage and (known := decode_usage(usage, chunk.service_tier)):
            events.append(UsageReport(known))
        return events

    def end(self) -> list[Event]:
        """At the end mark: what still waits, and the finish of an answer that called tools and was
        never finished by its host."""
        events: list[Event] = []
        for index, at in self._answers.items():
            if at.finish is None and any(call.name for call in at.calls.all):
                self._finish(ChunkChoice(), "", index, at, events)
            elif at.finish is None:
                self._lonely(index, events)
        return events

    def _say(self, kind: type[TextDelta | ThinkingDelta | RefusalDelta], text: str, at: int, answer: _Answer, events: list[Event]) -> None:
        if answer.calls.all:
            events.extend(answer.calls.begin())
        if self._halves.held or not text.isascii():
            text = self._halves.join((at, kind), text)
        if text:
            events.append(kind(text, at))

    def _delta(self, delta: Delta, index: int, at: _Answer, events: list[Event], place: int, whole: bool = False) -> None:
        if thought := delta.reasoning_content or delta.reasoning:
            self._say(ThinkingDelta, thought, index, at, events)
        content = delta.content
        if content:
            if isinstance(content, str):
                self._say(TextDelta, content, index, at, events)
            else:
                events.extend(pieces_of(content, index))
        if delta.refusal:
            at.refused = True
            self._say(RefusalDelta, delta.refusal, index, at, events)
        for position, call in enumerate(delta.tool_calls or ()):
            more, repair = at.calls.read(call, whole)
            events.extend(self._joined(more, index))
            if repair is not None:
                self.repairs[place, position] = repair
        if delta.function_call:
            events.extend(self._joined(at.calls.read(CallDelta(index=0, function=delta.function_call))[0], index))
        if delta.audio is not None or delta.images is not None:
            events.extend(_media(delta, index))

    def _joined(self, events: list[Event], index: int) -> Iterator[Event]:
        for event in events:
            if isinstance(event, ToolDelta) and (self._halves.held or not event.arguments.isascii()):
                if joined := self._halves.join((index, event.index), event.arguments):
                    yield ToolDelta(event.index, joined, index)
            else:
                yield event

    def _finish(self, choice: ChunkChoice, raw: str, index: int, at: _Answer, events: list[Event]) -> None:
        """Some hosts finish twice and go on in between; the last finish counts."""
        events.extend(at.calls.begin())
        self._lonely(index, events)
        reason = _FINISH.get(raw.lower(), FinishReason.STOP)
        sequence = choice.stop_reason if isinstance(choice.stop_reason, str) else None
        if reason is FinishReason.STOP:
            # A forced tool call and a refusal both end with "stop" at OpenAI.
            if any(call.begun for call in at.calls.all):
                reason = FinishReason.TOOL_CALLS
            elif at.refused:
                reason = FinishReason.REFUSAL
            elif sequence:
                reason = FinishReason.STOP_SEQUENCE
        told = Finish(reason, raw or None, sequence, index)
        if at.finish is None or (at.finish.reason, at.finish.stop_sequence) != (reason, sequence):
            at.finish = told
            events.append(told)

    def _lonely(self, index: int, events: list[Event]) -> None:
        """Halves of characters whose other half never came."""
        for (choice, kind), half in list(self._halves.held.items()):
            if choice == index:
                del self._halves.held[choice, kind]
                events.append(_half_told(kind, _halves.whole(half), index))


def _half_told(kind: Any, text: str, index: int) -> Event:
    event: Event = ToolDelta(kind, text, index) if isinstance(kind, int) else kind(text, index)
    return event


def _word(finish: str | float) -> str:
    """A finish reason as a word; some hosts send the number of an enumeration."""
    return finish if isinstance(finish, str) else "stop" if isinstance(finish, bool) else str(int(finish))


def finish_of(word: str | float) -> FinishReason:
    """What a host's finish reason means by itself."""
    return _FINISH.get(_word(word).lower(), FinishReason.STOP)


def pieces_of(content: list[Any], at: int) -> Iterator[Event]:
    """Mistral's content lists: text, thinking (itself a list) and references."""
    for piece in content:
        match piece:
            case str() if piece:
                yield TextDelta(piece, at)
            case {"type": "thinking", "thinking": list(inner)}:
                for part in inner:
                    if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]:
                        yield ThinkingDelta(part["text"], at)
            case {"type": "thinking", "thinking": str(text)} if text:
                yield ThinkingDelta(text, at)
            case {"type": "refusal", "refusal": str(text)} if text:
                yield RefusalDelta(text, at)
            case {"text": str(text)} if text:
                yield TextDelta(text, at)


def _media(delta: Delta, at: int) -> Iterator[Event]:
    match delta.audio:
        case {"transcript": str(text)} if text:
            yield TextDelta(text, at)
    for image in delta.images if isinstance(delta.images, list) else ():
        match image:
            case {"image_url": {"url": str(url)}}:
                split = split_data_url(url)
                yield PartAdded(Image(media_type=split[0], data=split[1]) if split else Image(url=url), at)

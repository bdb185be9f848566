"""A provider's answer, whole or streamed, as events: one reader serves both, so that both mean the
same."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from llm_gateway.core.chat import ChatResponse, Opaque, Part
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import (
    Done,
    Event,
    Failed,
    Finish,
    PartAdded,
    Start,
    TextDelta,
    ThinkingDelta,
    ThinkingMark,
    ToolDelta,
    ToolStart,
    UsageReport,
    collect,
)
from llm_gateway.wires import _mending
from llm_gateway.wires._halves import Halves, whole

from . import errors, media, usage
from .names import NAME, finish_of, finish_word
from .signatures import unpack

_NO_ARGS = msgspec.Raw(b"{}")
# What an answer is whole without.
_SPARE = frozenset(("id", "index", "modelVersion", "responseId", "thoughtSignature", "usageMetadata"))


class CallOut(msgspec.Struct):
    name: str | None = None
    id: str | None = None
    args: msgspec.Raw = _NO_ARGS


class PartOut(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: CallOut | None = None
    inline_data: media.Blob | None = None


class ContentOut(msgspec.Struct):
    parts: list[msgspec.Raw] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    index: int | None = None
    content: ContentOut | None = None
    finish_reason: str | int | None = None
    grounding_metadata: Any = None


class Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | int | None = None
    block_reason_message: str | None = None


class Chunk(msgspec.Struct, rename="camel"):
    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: usage.UsageIn | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


_chunk = msgspec.json.Decoder(Chunk)
_part = msgspec.json.Decoder(PartOut)
_object = msgspec.json.Decoder(dict[str, Any])


class Reader:
    """Turns chunks into events. A finish reason is held until :meth:`end`: some models repeat
    ``STOP`` in every chunk. Raises :class:`msgspec.DecodeError` for a chunk of the wrong shape."""

    __slots__ = ("_calls", "_finish", "_halves", "_id", "_mend", "_model", "_said", "_searches", "_started")

    def __init__(self) -> None:
        self._started = False
        self._halves = Halves()
        self._mend = self._halves.reader(frozenset({"text"}), closed="functionCall")
        self._id = self._model = ""
        self._searches: int | None = None
        self._calls: dict[int, int] = {}
        self._finish: dict[int, str] = {}
        # The choices that have content.
        self._said: set[int] = set()

    def read(self, raw: bytes | msgspec.Raw) -> list[Event]:
        chunk = _mending.decode(raw, _chunk, _SPARE, self._mend)
        if chunk.error:
            return [Failed(errors.from_object(chunk.error))]
        events: list[Event] = []
        if not self._started:
            self._started = True
            self._id, self._model = chunk.response_id or "", chunk.model_version or ""
            events.append(Start(self._id, self._model))
        for candidate in chunk.candidates or ():
            self._candidate(candidate, events)
        if chunk.usage_metadata and (used := usage.decode(chunk.usage_metadata, self._searches)):
            events.append(UsageReport(used))
        if not chunk.candidates and (blocked := _blocked(chunk.prompt_feedback, bytes(raw))):
            self._block(blocked, events)
        return events

    def _block(self, blocked: Failure, events: list[Event]) -> None:
        """A prompt is blocked before its answer begins; a host that finds out later ends what it
        has said so far."""
        if not self._said:
            events.append(Failed(blocked))
            return
        for at in self._said:
            self._finish[at] = "SAFETY"

    def end(self) -> list[Event]:
        """Nothing more comes: the finish of every choice, and ``Done`` if there was any."""
        events: list[Event] = [
            Finish(finish_of(word, self._calls.get(index, 0)), word, choice=index) for index, word in sorted(self._finish.items())
        ]
        alone = [kind(whole(half), at) for (at, kind), half in self._halves.held.items()]
        return [*alone, *events, Done()] if events else []

    def _candidate(self, candidate: Candidate, events: list[Event]) -> None:
        at = candidate.index or 0
        if candidate.grounding_metadata is not None:
            self._searches = usage.searches(candidate.grounding_metadata, self._model) or self._searches
        for raw in (candidate.content.parts if candidate.content else None) or ():
            self._said.add(at)
            self._one(raw, at, events)
        if word := finish_word(candidate.finish_reason):
            self._finish[at] = word

    def _one(self, raw: msgspec.Raw, at: int, events: list[Event]) -> None:
        part = _mending.decode(raw, _part, _SPARE, self._mend)
        if part.function_call is not None:
            index = self._calls.get(at, 0)
            self._calls[at] = index + 1
            arguments = msgspec.json.format(bytes(part.function_call.args), indent=-1).decode()
            name = part.function_call.name or ""
            call = part.function_call.id or self._made_id(at, index, name, arguments)
            signature = unpack(part.thought_signature).signature
            events.append(ToolStart(index, call, name, signature=signature, choice=at))
            events.append(ToolDelta(index, "{}" if arguments == "null" else arguments, at))
            return
        if part.inline_data is not None:
            events.append(PartAdded(media.read(part.inline_data) or _opaque(raw), at))
        elif part.text is None and part.thought_signature is None:
            if _object.decode(raw):
                events.append(PartAdded(_opaque(raw), at))
            return
        kind = ThinkingDelta if part.thought else TextDelta
        text = part.text
        if text and (self._halves.held or not text.isascii()):
            text = self._halves.join((at, kind), text)
        if text:
            events.append(kind(text, at))
        found = unpack(part.thought_signature)
        if any(found):
            events.append(ThinkingMark(found.signature, found.redacted, found.wire, found.id, at, found.issuer))

    def _made_id(self, at: int, index: int, name: str, arguments: str) -> str:
        """Older models give calls no id; the answer to a call needs one, and it must not repeat
        over a conversation."""
        seed = f"{self._id}\0{at}\0{index}\0{name}\0{arguments}".encode()
        return f"call_{hashlib.blake2s(seed, digest_size=10).hexdigest()}"


_chunks = msgspec.json.Decoder(list[msgspec.Raw])


def _opaque(raw: msgspec.Raw) -> Part:
    return Opaque(wire=NAME, raw=_object.decode(raw))


def _blocked(feedback: Feedback | None, document: bytes) -> Failure | None:
    """https://ai.google.dev/api/generate-content#BlockReason"""
    if feedback is None or not (feedback.block_reason or feedback.block_reason_message):
        return None
    reason = str(feedback.block_reason or "")
    text = feedback.block_reason_message or f"the prompt was blocked ({reason})"
    return Failure(kind=FailureClass.CONTENT_FILTER, message=text[:500], code=reason or None, answer=(NAME, document))


def decode(body: bytes) -> ChatResponse:
    """A whole answer, or a stream's chunks as one array from a host that knows no SSE. Raises
    :class:`AttemptFailed`, for a blocked prompt too."""
    reader = Reader()
    try:
        chunks = _chunks.decode(body) if body.lstrip()[:1] == b"[" else [msgspec.Raw(body)]
        events = [event for chunk in chunks for event in reader.read(chunk)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        chunks = []
    if not chunks:
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer is not a generate response")) from None
    for event in events:
        if isinstance(event, Failed):
            raise AttemptFailed(event.failure)
    return collect([*events, *reader.end()])

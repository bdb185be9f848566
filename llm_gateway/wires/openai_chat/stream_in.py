"""A provider's chat answer: whole, or its stream of server-sent events."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatResponse
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import Done, Event, Failed, Finish, Frame, UsageReport, collect
from llm_gateway.core.redact import redact
from llm_gateway.core.sse import EventTooLarge, SseDecoder, SseFrame, encode_event
from llm_gateway.wires import _halves
from llm_gateway.wires._alive import is_alive
from llm_gateway.wires._openai.errors import error_in_200, failing

from .alike import Alike, alike
from .chunks import Chunk, coerce
from .mend import Mender
from .response_in import Reader

_chunk = msgspec.json.Decoder(Chunk)
_ERROR_WORDS: Final = ("error", "detail", "message", "msg")
# Objects that keep a connection open, where the format has chunks. To its own SDKs they are chunks
# without choices.
_ALIVE_TYPES: Final = frozenset({"ping", "pong", "keepalive", "keep-alive", "keep_alive", "heartbeat"})


def _read(data: bytes) -> tuple[Chunk | dict[str, Any] | None, bool]:
    """A chunk; the object itself when it is an error or nothing a chunk has; ``None`` when it is no
    JSON object. And whether its fields have their usual types."""
    usual = True
    try:
        chunk = _chunk.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = _halves.loads(data)
        if not isinstance(value, dict):
            return None, False
        chunk, usual = coerce(value), False
    if (
        not chunk.error
        and not failing(chunk.base_resp)
        and (chunk.choices is not None or chunk.usage is not None or chunk.x_groq is not None)
    ):
        return chunk, usual
    value = json.lenient(data)
    return (value if isinstance(value, dict) else None), usual


def decode_response(body: bytes) -> ChatResponse:
    answer, _ = _read(body)
    if answer is None:
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message=redact(body[:500].decode("utf-8", "replace"))))
    if isinstance(answer, dict):
        if _is_error(answer):
            raise AttemptFailed(error_in_200(answer))
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer has no choices"))
    for choice in answer.choices or ():
        if choice.error:
            raise AttemptFailed(error_in_200(choice.error))
    reader = Reader()
    return collect([*reader.read(answer), *reader.end()])


def _is_error(value: dict[str, Any]) -> bool:
    return failing(value.get("base_resp")) or any(value.get(name) for name in _ERROR_WORDS)


class ChatStreamDecoder:
    """Frames of a chat stream. What a host sends after its end mark or its error keeps its bytes
    and means nothing."""

    __slots__ = ("_alike", "_ended", "_mender", "_pending", "_reader", "_sse")

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._reader = Reader()
        self._mender = Mender()
        self._ended = False
        self._pending: AttemptFailed | None = None
        # What the last frame was, where it was a piece of text and nothing else.
        self._alike: Alike | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        if self._alike is not None and not self._sse.waiting and (known := self._alike.frames(chunk)) is not None:
            return known
        if self._pending:
            raise self._pending
        frames: list[Frame] = []
        try:
            frames.extend(map(self._frame, self._sse.feed(chunk)))
        except EventTooLarge as error:
            self._hold(AttemptFailed(Failure(kind=FailureClass.EVENT_TOO_LARGE, message=str(error))), frames)
        except AttemptFailed as error:
            self._hold(error, frames)
        return frames

    def close(self) -> list[Frame]:
        if self._pending:
            raise self._pending
        frames: list[Frame] = []
        for frame in self._sse.close():
            try:
                frames.append(self._frame(frame))
            except AttemptFailed:
                # The connection ended inside an event: truncation is told by the missing Done.
                frames.append(Frame(frame.raw))
        if not self._ended and self._reader.complete:
            self._ended = True
            frames.append(Frame(b"", (Done(),)))
        return frames

    def _hold(self, error: AttemptFailed, frames: list[Frame]) -> None:
        """What arrived before the fault still counts: it goes out first, the fault with the next
        call."""
        if not frames:
            raise error
        self._pending = error

    def _frame(self, frame: SseFrame) -> Frame:
        data = frame.data
        self._alike = None
        if self._ended:
            return Frame(frame.raw)
        if data is None:
            return self._stray(frame) if frame.stray else Frame(frame.raw)
        if data[:1] == b"[" and data.strip() == b"[DONE]":
            return self._done(frame)
        answer, usual = _read(data)
        if frame.event == "error" or isinstance(answer, dict):
            return self._error(frame, data, answer)
        if answer is None:
            if is_alive(data):
                return Frame(frame.raw, mended=b"" if data.strip() else None)
            raise AttemptFailed(Failure(kind=FailureClass.BAD_EVENT, message=redact(data[:200].decode("utf-8", "replace"))))
        events = self._reader.read(answer)
        if any(choice.error for choice in answer.choices or ()):
            return self._failed(frame, next(choice.error for choice in answer.choices or () if choice.error), events)
        usage_only = not answer.choices and any(isinstance(event, UsageReport) for event in events)
        mended = self._mender.chunk(data, answer, self._reader, usual)
        if mended is None and usual and frame.event is None and self._reader.plain:
            self._alike = alike(frame.raw, answer, events)
        return Frame(frame.raw, tuple(events), usage_only, encode_event(mended, frame.event) if mended is not None else None)

    def _done(self, frame: SseFrame) -> Frame:
        """A host that says it has ended without a finish reason has finished."""
        self._ended = True
        ends = self._reader.end()
        if not ends:
            return Frame(frame.raw, (Done(),))
        finishes = self._mender.ends(ends)
        return Frame(frame.raw, (*ends, Done()), mended=finishes + frame.raw if finishes else None)

    def _error(self, frame: SseFrame, data: bytes, answer: Chunk | dict[str, Any] | None) -> Frame:
        value = answer if isinstance(answer, dict) else json.lenient(data)
        if frame.event == "error" or (isinstance(value, dict) and _is_error(value)):
            events: list[Event] = []
            if isinstance(value, dict) and isinstance(value.get("choices"), list):
                # OpenRouter puts the error beside a last, empty delta.
                events = [event for event in self._reader.read(coerce(value)) if not isinstance(event, Finish)]
            return self._failed(frame, value if isinstance(value, dict | str) else data.decode("utf-8", "replace"), events)
        alive = isinstance(value, dict) and (not value or value.get("type") in _ALIVE_TYPES or "choices" in value)
        return Frame(frame.raw, mended=b"" if alive else None)

    def _failed(self, frame: SseFrame, error: Any, before: list[Event]) -> Frame:
        self._ended = True
        return Frame(frame.raw, (*before, Failed(error_in_200(error))))

    def _stray(self, frame: SseFrame) -> Frame:
        """A bare JSON error between the events (Google's compatible API), or a whole JSON body
        instead of a stream."""
        value = json.lenient(frame.stray or b"")
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, dict) and value.get("error"):
            return self._failed(frame, value, [])
        return Frame(frame.raw)

"""A stream to a caller of this dialect: chunks in SSE frames, or as the items of one JSON array.

Function calls go out whole. The finish reasons come with the last chunk, which is written when the
stream is done; there is no other end mark.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ToolCall
from llm_gateway.core.errors import GatewayError
from llm_gateway.core.events import (
    Done,
    Event,
    Finish,
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
from llm_gateway.wires._base import Reply

from . import errors, usage
from .names import finish_out
from .parts_out import Calls, part_of, thought, wants_thoughts
from .signatures import pack


class Encoder:
    """``_open`` holds the calls of a choice that are still growing, ``_thinking`` the choices whose
    last part was a thought."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._array = reply.stream_form == "array"
        self._thoughts = wants_thoughts(reply.chat)
        self._start = Start()
        self._usage: Usage | None = None
        self._calls = Calls()
        self._open: dict[int, dict[int, tuple[ToolStart, list[str]]]] = {}
        self._finish: dict[int, Finish] = {}
        self._thinking: set[int] = set()
        self._seen: set[int] = set()
        self._any = self._ended = False
        self._out = bytearray()

    def encode(self, events: Iterable[Event]) -> bytes:
        for event in events:
            if self._ended:
                break
            self._one(event)
        return self._take()

    def error(self, error: GatewayError) -> bytes:
        if not self._ended:
            own = errors.own_answer(error)
            self._send(msgspec.Raw(msgspec.json.format(own, indent=-1)) if own else errors.shape(error, self._reply.request_id))
            self._end()
        return self._take()

    def _one(self, event: Event) -> None:
        match event:
            case Start():
                self._start = event
            case UsageReport():
                self._usage = self._usage.later(event.usage) if self._usage else event.usage
            case ToolStart():
                self._open.setdefault(event.choice, {})[event.index] = (event, [])
            case ToolDelta():
                if event.index in self._open.get(event.choice, ()):
                    self._open[event.choice][event.index][1].append(event.arguments)
            case TextDelta() | RefusalDelta():
                self._part({"text": event.text} if event.text else None, event.choice)
            case ThinkingDelta():
                self._part(thought(event.text, None, self._thoughts), event.choice)
                self._thinking.add(event.choice)
            case ThinkingMark():
                self._mark(event)
            case PartAdded():
                self._part(part_of(event.part, self._calls, self._thoughts), event.choice)
            case Finish():
                self._flush(event.choice)
                self._finish[event.choice] = event
            case Done():
                self._done()

    def _mark(self, mark: ThinkingMark) -> None:
        part = thought("", pack(mark.signature, mark.redacted, mark.wire, mark.id, mark.issuer), self._thoughts)
        if part and self._thoughts and mark.choice in self._thinking:
            part["thought"] = True
        self._part(part, mark.choice)

    def _part(self, part: dict[str, Any] | None, choice: int) -> None:
        if part is None:
            return
        self._flush(choice)
        self._thinking.discard(choice)
        self._chunk([{"content": {"parts": [part], "role": "model"}, "index": choice}])

    def _flush(self, choice: int) -> None:
        parts = [
            self._calls.part(
                ToolCall(
                    id=start.id,
                    name=start.name,
                    arguments="".join(text),
                    custom=start.custom,
                    signature=start.signature,
                    issuer=start.issuer,
                )
            )
            for start, text in self._open.pop(choice, {}).values()
        ]
        if parts:
            self._chunk([{"content": {"parts": parts, "role": "model"}, "index": choice}])

    def _done(self) -> None:
        for choice in sorted(self._open):
            self._flush(choice)
        # The SDKs and Gemini CLI take a stream without a finish reason for a broken one, and the
        # SDKs' chats forget the whole answer when one chunk of it has no part.
        ends = dict.fromkeys(self._seen or {0}, "STOP")
        ends |= {choice: finish_out(finish.reason, finish.raw) for choice, finish in self._finish.items()}
        last = {"parts": [{"text": ""}], "role": "model"}
        self._chunk([{"content": last, "finishReason": ends[choice], "index": choice} for choice in sorted(ends)])
        self._end()

    def _chunk(self, candidates: list[dict[str, Any]]) -> None:
        self._seen.update(candidate["index"] for candidate in candidates)
        document: dict[str, Any] = {"candidates": candidates}
        if self._usage:
            document["usageMetadata"] = usage.encode(self._usage)
        document["modelVersion"] = self._reply.model
        document["responseId"] = self._start.id or self._reply.request_id
        self._send(document)

    def _send(self, document: dict[str, Any] | msgspec.Raw) -> None:
        if self._array:
            self._out += (b",\r\n" if self._any else b"[") + json.dumps(document)
        else:
            self._out += b"data: " + json.dumps(document) + b"\r\n\r\n"
        self._any = True

    def _end(self) -> None:
        if self._array:
            self._out += b"]"
        self._ended = True

    def _take(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

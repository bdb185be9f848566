"""A stream to a caller of this dialect: one block at a time, indices rising, ``message_stop`` only
after ``Done``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import FinishReason, Opaque
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
from llm_gateway.core.sse import encode_event
from llm_gateway.core.usage import Usage
from llm_gateway.wires import _call_signatures
from llm_gateway.wires._arguments import as_object
from llm_gateway.wires._base import Reply

from . import errors, usage
from .names import NAME, stop_reason_of
from .response_out import message_id, refusal_details, wants_thinking
from .signatures import pack


class Encoder:
    __slots__ = (
        "_block",
        "_ended",
        "_finish",
        "_index",
        "_out",
        "_refusal",
        "_reply",
        "_start",
        "_started",
        "_text",
        "_thinking",
        "_tools",
        "_usage",
    )

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._thinking = wants_thinking(reply.chat)
        self._start = Start()
        self._started = self._ended = False
        self._index = -1
        self._block = ""
        self._tools: dict[int, int] = {}
        self._refusal = ""
        self._text: str | None = None
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._out = bytearray()

    def encode(self, events: Iterable[Event]) -> bytes:
        for event in _call_signatures.told(events):
            if self._ended:
                break
            self._one(event)
        out, self._out = bytes(self._out), bytearray()
        return out

    def error(self, error: GatewayError) -> bytes:
        self._ended = True
        self._send("error", errors.shape(error, self._reply.request_id))
        out, self._out = bytes(self._out), bytearray()
        return out

    def _one(self, event: Event) -> None:
        if getattr(event, "choice", 0):  # the format holds one answer
            return
        match event:
            case Start():
                self._start = event
            case UsageReport():
                self._usage = self._usage.later(event.usage) if self._usage else event.usage
            case TextDelta():
                if event.text:
                    self._open("text", {"type": "text", "text": ""})
                    self._delta({"type": "text_delta", "text": event.text})
            case ThinkingDelta():
                if event.text and self._thinking:
                    self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                    self._delta({"type": "thinking_delta", "thinking": event.text})
            case ThinkingMark():
                self._mark(event)
            case RefusalDelta():
                self._refusal += event.text
                if event.text:
                    self._open("text", {"type": "text", "text": ""})
                    self._delta({"type": "text_delta", "text": event.text})
            case ToolStart():
                self._close()
                self._tools[event.index] = self._index + 1
                self._open("tool_use", {"type": "tool_use", "id": event.id, "name": event.name, "input": {}})
                self._delta({"type": "input_json_delta", "partial_json": ""})
                self._text = "" if event.custom else None
            case ToolDelta() if self._text is not None:
                # Free text has to be whole before it can be the JSON that the format wants.
                self._text += event.arguments
            case ToolDelta():
                if event.arguments and event.index in self._tools:
                    self._delta({"type": "input_json_delta", "partial_json": event.arguments}, self._tools[event.index])
            case PartAdded():
                if isinstance(event.part, Opaque) and event.part.wire == NAME:
                    self._close()
                    self._open("opaque", event.part.raw)
                    self._close()
            case Finish():
                self._finish = event
            case Done():
                self._done()

    def _mark(self, mark: ThinkingMark) -> None:
        if not self._thinking:
            return
        if mark.redacted is not None:
            self._close()
            self._open("redacted_thinking", {"type": "redacted_thinking", "data": pack(mark.redacted, mark.wire, mark.id, mark.issuer)})
        else:
            self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            self._delta({"type": "signature_delta", "signature": pack(mark.signature, mark.wire, mark.id, mark.issuer)})
            self._block = "signed"
        self._close()

    def _begin(self) -> None:
        if self._started:
            return
        self._started = True
        message: dict[str, Any] = {
            "id": message_id(self._start.id, self._reply),
            "type": "message",
            "role": "assistant",
            "model": self._reply.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage.encode(self._usage, self._reply.prompt_tokens),
        }
        self._send("message_start", {"type": "message_start", "message": message})

    def _open(self, kind: str, block: dict[str, Any]) -> None:
        self._begin()
        if kind == self._block:
            return
        self._close()
        self._block = kind
        self._index += 1
        self._send("content_block_start", {"type": "content_block_start", "index": self._index, "content_block": block})

    def _delta(self, delta: dict[str, Any], index: int | None = None) -> None:
        at = self._index if index is None else index
        self._send("content_block_delta", {"type": "content_block_delta", "index": at, "delta": delta})

    def _close(self) -> None:
        if not self._block:
            return
        if self._text is not None:
            self._delta({"type": "input_json_delta", "partial_json": json.dumps(as_object(self._text, custom=True)).decode()})
            self._text = None
        if self._block == "thinking":
            self._delta({"type": "signature_delta", "signature": pack(None, None, None)})
        self._block = ""
        self._send("content_block_stop", {"type": "content_block_stop", "index": self._index})

    def _done(self) -> None:
        self._begin()
        self._close()
        finish = self._finish
        reason = stop_reason_of(finish.reason if finish else None, finish.raw if finish else None)
        if self._refusal and reason == "end_turn":
            reason = stop_reason_of(FinishReason.REFUSAL, None)
        delta: dict[str, Any] = {"stop_reason": reason, "stop_sequence": finish.stop_sequence if finish else None}
        if self._refusal:
            delta["stop_details"] = refusal_details(self._refusal)
        self._send(
            "message_delta", {"type": "message_delta", "delta": delta, "usage": usage.encode(self._usage, self._reply.prompt_tokens)}
        )
        self._send("message_stop", {"type": "message_stop"})
        self._ended = True

    def _send(self, name: str, document: dict[str, Any]) -> None:
        self._out += encode_event(json.dumps(document), name)

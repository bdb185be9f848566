"""A Responses stream to a caller: every item opened, filled and closed in the order the official
SDKs accumulate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llm_gateway.core.chat import FinishReason, Part, ToolCall
from llm_gateway.core.errors import GatewayError, from_failure
from llm_gateway.core.events import (
    Done,
    Event,
    Failed,
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
from llm_gateway.core.json import dumps, lenient
from llm_gateway.core.sse import encode_event
from llm_gateway.core.usage import Usage
from llm_gateway.wires import _call_signatures
from llm_gateway.wires._base import Reply

from . import resource
from . import response_out as out


class _Open:
    """The item being written: a message, a reasoning item or a call."""

    __slots__ = ("call", "call_id", "content", "id", "index", "kind", "text")

    def __init__(self, kind: str, index: int, item_id: str) -> None:
        self.kind = kind
        self.index = index
        self.id = item_id
        self.text: list[str] = []
        self.content: list[dict[str, Any]] = []
        self.call: ToolStart | None = None
        self.call_id = ""


class ResponsesStreamEncoder:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._names = out.Names("", reply)
        self._created = reply.created
        self._sequence = 0
        self._started = False
        self._ended = False
        self._refused = False
        self._output: list[dict[str, Any] | None] = []
        self._open: _Open | None = None
        self._calls: dict[int, _Open] = {}
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._bytes: list[bytes] = []

    def encode(self, events: Iterable[Event]) -> bytes:
        for event in _call_signatures.told(events):
            if self._ended:
                break
            # The format has one answer; a second choice has no place in it.
            if not getattr(event, "choice", 0):
                self._event(event)
        return self._take()

    def error(self, error: GatewayError) -> bytes:
        if self._ended:
            return b""
        self._start()
        self._ended = True
        failure = {"code": error.code, "message": error.message}
        self._emit("response.failed", response=self._response("failed", error=failure))
        return self._take()

    def _take(self) -> bytes:
        taken = b"".join(self._bytes)
        self._bytes.clear()
        return taken

    def _emit(self, kind: str, **fields: Any) -> None:
        self._bytes.append(encode_event(dumps({"type": kind, "sequence_number": self._sequence} | fields), kind))
        self._sequence += 1

    def _response(self, status: str, **fields: Any) -> dict[str, Any]:
        output = [item for item in self._output if item is not None]
        return resource.response_object(self._names.response, self._reply, self._created, status, output, usage=self._usage, **fields)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._emit("response.created", response=self._response("in_progress"))
            self._emit("response.in_progress", response=self._response("in_progress"))

    def _event(self, event: Event) -> None:
        match event:
            case Start():
                if not self._started:
                    self._names = out.Names(event.id, self._reply)
                    self._created = event.created if event.created is not None else self._reply.created
            case UsageReport():
                self._usage = self._usage.later(event.usage) if self._usage else event.usage
                return
            case Failed():
                self._bytes.append(self.error(from_failure(event.failure)))
                return
            case _:
                pass
        self._start()
        match event:
            case TextDelta():
                self._text("output_text", event.text)
            case RefusalDelta():
                self._refused = True
                self._text("refusal", event.text)
            case ThinkingDelta():
                self._thought(event.text)
            case ThinkingMark():
                self._mark(event)
            case ToolStart():
                self._tool_start(event)
            case ToolDelta():
                self._tool_delta(event)
            case PartAdded():
                self._part(event.part)
            case Finish():
                self._close_all()
                self._finish = event.reason
            case Done():
                self._done()
            case _:
                pass

    def _add(self, kind: str, prefix: str) -> _Open:
        index = len(self._output)
        self._output.append(None)
        return _Open(kind, index, self._names.item(prefix, index))

    def _text(self, kind: str, text: str) -> None:
        item = self._open
        if item is None or item.kind != "message":
            self._close_all()
            item = self._open = self._add("message", "msg")
            self._emit("response.output_item.added", output_index=item.index, item=out.message(item.id, [], "in_progress"))
        part = item.content[-1] if item.content else None
        if part is None or part["type"] != kind:
            self._close_content(item)
            part = out.text_part("") if kind == "output_text" else out.refusal_part("")
            item.content.append(part)
            item.text = []
            self._emit("response.content_part.added", **self._at_part(item), part=part)
        item.text.append(text)
        more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        self._emit(f"response.{kind}.delta", **self._at_part(item), delta=text, **more)

    @staticmethod
    def _at(item: _Open) -> dict[str, Any]:
        return {"item_id": item.id, "output_index": item.index}

    def _at_part(self, item: _Open) -> dict[str, Any]:
        return {"item_id": item.id, "output_index": item.index, "content_index": len(item.content) - 1}

    def _close_content(self, item: _Open) -> None:
        if not item.content:
            return
        text = "".join(item.text)
        if item.content[-1]["type"] == "output_text":
            item.content[-1] = out.text_part(text)
            self._emit("response.output_text.done", **self._at_part(item), text=text, logprobs=[])
        else:
            item.content[-1] = out.refusal_part(text)
            self._emit("response.refusal.done", **self._at_part(item), refusal=text)
        self._emit("response.content_part.done", **self._at_part(item), part=item.content[-1])

    def _thought(self, text: str) -> None:
        item = self._open
        if item is None or item.kind != "reasoning":
            item = self._open_reasoning()
        if not item.text:
            self._emit("response.reasoning_summary_part.added", **self._at(item), summary_index=0, part=_summary(""))
        item.text.append(text)
        self._emit("response.reasoning_summary_text.delta", **self._at(item), summary_index=0, delta=text)

    def _open_reasoning(self) -> _Open:
        self._close_all()
        item = self._open = self._add("reasoning", "rs")
        self._emit("response.output_item.added", output_index=item.index, item=out.reasoning(item.id, "", None))
        return item

    def _mark(self, mark: ThinkingMark) -> None:
        item = self._open
        if item is None or item.kind != "reasoning":
            item = self._open_reasoning()
        self._close_reasoning(item, out.token_of(mark.signature, mark.redacted, mark.wire, mark.issuer))

    def _close_reasoning(self, item: _Open, token: str | None) -> None:
        text = "".join(item.text)
        if item.text:
            self._emit("response.reasoning_summary_text.done", **self._at(item), summary_index=0, text=text)
            self._emit("response.reasoning_summary_part.done", **self._at(item), summary_index=0, part=_summary(text))
        self._open = None
        self._item_done(item, out.reasoning(item.id, text, token))

    def _item_done(self, item: _Open, body: dict[str, Any]) -> None:
        self._output[item.index] = body
        self._emit("response.output_item.done", output_index=item.index, item=body)

    def _close_item(self) -> None:
        """Close the open message or thoughts."""
        item, self._open = self._open, None
        if item is None:
            return
        if item.kind == "message":
            self._close_content(item)
            self._item_done(item, out.message(item.id, item.content, "completed"))
        else:
            self._close_reasoning(item, None)

    def _close_all(self) -> None:
        self._close_item()
        for index in list(self._calls):
            self._close_call(index)

    def _tool_start(self, event: ToolStart) -> None:
        self._close_item()
        for index, other in list(self._calls.items()):
            # Calls come one after another; a host that mixes their arguments leaves them open side
            # by side.
            if other.call and (other.call.custom or lenient("".join(other.text).encode()) is not None):
                self._close_call(index)
        item = self._add("call", "ctc" if event.custom else "fc")
        item.call, item.call_id = event, self._names.call(event.id, event.index)
        self._calls[event.index] = item
        self._emit("response.output_item.added", output_index=item.index, item=self._call_item(item, "", "in_progress"))

    def _call_item(self, item: _Open, arguments: str, status: str) -> dict[str, Any]:
        start = item.call
        assert start is not None
        call = ToolCall(id=start.id, name=start.name, arguments=arguments, custom=start.custom)
        return out.call_item(self._names, call, item.id, item.call_id, status)

    def _tool_delta(self, event: ToolDelta) -> None:
        item = self._calls.get(event.index)
        if item is None or not event.arguments:
            return
        item.text.append(event.arguments)
        kind = "custom_tool_call_input" if item.call and item.call.custom else "function_call_arguments"
        self._emit(f"response.{kind}.delta", **self._at(item), delta=event.arguments)

    def _close_call(self, index: int) -> None:
        item = self._calls.pop(index)
        text = "".join(item.text)
        if item.call and item.call.custom:
            self._emit("response.custom_tool_call_input.done", **self._at(item), input=text)
        else:
            # A call without arguments still has to parse as JSON at the caller's.
            text = text or "{}"
            names = {"name": item.call.name} if item.call else {}
            self._emit("response.function_call_arguments.done", **self._at(item), arguments=text, **names)
        self._item_done(item, self._call_item(item, text, "completed"))

    def _part(self, part: Part) -> None:
        body = out.part_item(part, self._names.item("ig", len(self._output)))
        if body is None:
            return
        self._close_all()
        item = self._add("part", "ig")
        self._emit("response.output_item.added", output_index=item.index, item=body)
        self._item_done(item, body)

    def _done(self) -> None:
        self._close_all()
        self._ended = True
        status, incomplete = out.status_of(self._finish, self._refused)
        completed = int(self._reply.now()) if self._reply.now is not None else self._created
        response = self._response(status, completed=completed, error=out.failed_error(self._finish), incomplete=incomplete)
        self._emit(f"response.{status}", response=response)


def _summary(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}

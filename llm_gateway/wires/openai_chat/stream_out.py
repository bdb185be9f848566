"""Chat answers to a caller: whole, and as a stream of chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from llm_gateway.core.chat import ChatResponse, Choice, FinishReason, Image, Part, Refusal, ToolCall
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
    ToolDelta,
    ToolStart,
    UsageReport,
)
from llm_gateway.core.json import dumps
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import Reply
from llm_gateway.wires._issuers import wrapped
from llm_gateway.wires._openai.ids import call_id
from llm_gateway.wires._openai.inbound import data_url
from llm_gateway.wires._openai.reply import error_object
from llm_gateway.wires._openai.usage import encode_chat_usage
from llm_gateway.wires._tiers import answered

DONE: Final = b"data: [DONE]\n\n"

_FINISH: Final = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.PAUSE: "stop",
    FinishReason.MODEL_FAULT: "length",
}


def finish_word(reason: FinishReason | None, refused: bool) -> str | None:
    """OpenAI ends a refusal that has its text in ``refusal`` with ``stop``; one without text can
    only be a filter's."""
    if reason is None:
        return None
    return "stop" if reason is FinishReason.REFUSAL and refused else _FINISH[reason]


def completion_id(own: str, request_id: str) -> str:
    return own or f"chatcmpl-{request_id}"


def encode_response(response: ChatResponse, reply: Reply) -> bytes:
    body: dict[str, Any] = {
        "id": completion_id(response.id, reply.request_id),
        "object": "chat.completion",
        "created": response.created if response.created is not None else reply.created,
        "model": reply.model or response.model,
        "choices": [_choice(choice, reply) for choice in response.choices],
    }
    if response.usage:
        body["usage"] = encode_chat_usage(response.usage)
        if (tier := answered("openai_chat", response.usage.service_tier)) is not None:
            body["service_tier"] = tier
    return dumps(body)


def _choice(choice: Choice, reply: Reply) -> dict[str, Any]:
    refusal = "".join(part.text for part in choice.parts if isinstance(part, Refusal))
    calls = [_call(part, position, choice.index, reply) for position, part in enumerate(choice.tool_calls)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text or (None if calls or refusal else ""),
        "refusal": refusal or None,
    }
    if thought := choice.thinking:
        message["reasoning_content"] = thought
    legacy = _legacy(reply)
    if calls and legacy:
        message["function_call"] = calls[0].get("function")
    elif calls:
        message["tool_calls"] = calls
    if images := [_image(part) for part in choice.parts if isinstance(part, Image)]:
        message["images"] = images
    # A whole answer has stopped, though its provider may not say why; strict readers want a word.
    finish = choice.finish or (FinishReason.TOOL_CALLS if calls else FinishReason.STOP)
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None,
        "finish_reason": _legacy_word(finish_word(finish, bool(refusal)), legacy),
    }


def _legacy(reply: Reply) -> bool:
    return reply.chat is not None and reply.chat.functions


def _legacy_word(word: str | None, legacy: bool) -> str | None:
    return "function_call" if legacy and word == "tool_calls" else word


def _call(call: ToolCall, position: int, choice: int, reply: Reply) -> dict[str, Any]:
    head = {"id": call.id or call_id(reply.request_id, choice, position)}
    if call.custom:
        return head | {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    body = head | {"type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
    return body | _signature(call.signature, call.issuer)


def _signature(signature: str | None, issuer: str | None) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": wrapped(signature, issuer)}}} if signature else {}


def _image(image: Image) -> dict[str, Any]:
    url = image.url if image.url is not None else data_url(image.media_type, image.data or "", "image/png")
    return {"type": "image_url", "image_url": {"url": url}}


class _Choice:
    __slots__ = ("empty", "open", "refused")

    def __init__(self) -> None:
        self.refused = False
        # Calls by index that are custom; the call now open, and whether it has had arguments yet.
        self.open: dict[int, bool] = {}
        self.empty: int | None = None


class ChatStreamEncoder:
    """Role first, then the deltas, the finish, the usage where it was asked for, and ``[DONE]``
    only after a proper end."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._legacy = _legacy(reply)
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._ended = False
        self._identify("", reply.created)

    def _identify(self, own: str, created: int) -> None:
        head = {
            "id": completion_id(own, self._reply.request_id),
            "object": "chat.completion.chunk",
            "created": created,
            "model": self._reply.model,
        }
        self._head = b"data: " + dumps(head)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if self._reply.include_usage else b"]}\n\n"

    def encode(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._ended:
                break
            self._event(event, out)
        return b"".join(out)

    def error(self, error: GatewayError) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        choice = b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"error"}'
        return self._head + choice + b'],"error":' + dumps(error_object(error)) + b"}\n\n"

    def _event(self, event: Event, out: list[bytes]) -> None:
        match event:
            case TextDelta():
                self._delta(event.choice, b'{"content":' + dumps(event.text) + b"}", out)
            case ThinkingDelta():
                self._delta(event.choice, b'{"reasoning_content":' + dumps(event.text) + b"}", out)
            case RefusalDelta():
                self._delta(event.choice, b'{"refusal":' + dumps(event.text) + b"}", out)
                self._choices[event.choice].refused = True
            case ToolStart():
                self._tool_start(event, out)
            case ToolDelta():
                self._tool_delta(event, out)
            case PartAdded():
                self._part(event.part, event.choice, out)
            case Finish():
                self._finish(event, out)
            case Start():
                self._identify(event.id, event.created if event.created is not None else self._reply.created)
            case UsageReport():
                self._usage = self._usage.later(event.usage) if self._usage else event.usage
            case Failed():
                out.append(self.error(from_failure(event.failure)))
            case Done():
                self._done(out)
            case _:
                # A thinking mark: the format has no place for another wire's signature.
                pass

    def _choice(self, index: int, out: list[bytes]) -> _Choice:
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = _Choice()
            self._chunk(index, b'{"role":"assistant","content":"","refusal":null}', b"null", out)
        return state

    def _delta(self, index: int, delta: bytes, out: list[bytes]) -> None:
        if index not in self._choices:
            self._choice(index, out)
        self._chunk(index, delta, b"null", out)

    def _chunk(self, index: int, delta: bytes, finish: bytes, out: list[bytes]) -> None:
        out.append(self._head + b'{"index":%d,"delta":' % index + delta + b',"logprobs":null,"finish_reason":' + finish + b"}" + self._tail)

    def _tool_start(self, event: ToolStart, out: list[bytes]) -> None:
        state = self._choice(event.choice, out)
        self._close_call(state, event.choice, out)
        head: dict[str, Any] = {"index": event.index, "id": event.id or call_id(self._reply.request_id, event.choice, event.index)}
        if event.custom:
            head |= {"type": "custom", "custom": {"name": event.name, "input": ""}}
        else:
            head |= {"type": "function", "function": {"name": event.name, "arguments": ""}} | _signature(event.signature, event.issuer)
            state.empty = event.index
        state.open[event.index] = event.custom
        if self._legacy:
            if event.index == 0:
                self._delta(event.choice, dumps({"function_call": {"name": event.name, "arguments": ""}}), out)
            return
        self._delta(event.choice, dumps({"tool_calls": [head]}), out)

    def _tool_delta(self, event: ToolDelta, out: list[bytes]) -> None:
        state = self._choice(event.choice, out)
        if event.arguments and state.empty == event.index:
            state.empty = None
        if self._legacy:
            if event.index == 0:
                self._delta(event.choice, dumps({"function_call": {"arguments": event.arguments}}), out)
            return
        body = {"custom": {"input": event.arguments}} if state.open.get(event.index) else {"function": {"arguments": event.arguments}}
        self._delta(event.choice, dumps({"tool_calls": [{"index": event.index} | body]}), out)

    def _close_call(self, state: _Choice, choice: int, out: list[bytes]) -> None:
        """A call without arguments still has to parse as JSON at the caller's."""
        if state.empty is not None:
            filled = (
                {"function_call": {"arguments": "{}"}}
                if self._legacy
                else {"tool_calls": [{"index": state.empty, "function": {"arguments": "{}"}}]}
            )
            self._delta(choice, dumps(filled), out)
            state.empty = None

    def _part(self, part: Part, choice: int, out: list[bytes]) -> None:
        # Other whole parts are a provider's own tool traffic, which chat clients do not know.
        if isinstance(part, Image):
            self._delta(choice, dumps({"images": [_image(part)]}), out)

    def _finish(self, event: Finish, out: list[bytes]) -> None:
        state = self._choice(event.choice, out)
        self._close_call(state, event.choice, out)
        self._chunk(event.choice, b"{}", dumps(_legacy_word(finish_word(event.reason, state.refused), self._legacy)), out)

    def _done(self, out: list[bytes]) -> None:
        self._ended = True
        if self._reply.include_usage and self._usage:
            word = answered("openai_chat", self._usage.service_tier)
            tier = b',"service_tier":' + dumps(word) if word is not None else b""
            out.append(self._head + b'],"usage":' + dumps(encode_chat_usage(self._usage)) + tier + b"}\n\n")
        out.append(DONE)

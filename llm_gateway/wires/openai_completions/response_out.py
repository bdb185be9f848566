"""Completions to a caller: the text of the answer, whole or in chunks. Thoughts have no place in
the format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from llm_gateway.core.chat import ChatResponse, FinishReason, Refusal
from llm_gateway.core.errors import GatewayError, from_failure
from llm_gateway.core.events import Done, Event, Failed, Finish, RefusalDelta, TextDelta, UsageReport
from llm_gateway.core.json import dumps
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import Reply
from llm_gateway.wires._openai.reply import error_object
from llm_gateway.wires._openai.usage import encode_chat_usage

DONE: Final = b"data: [DONE]\n\n"
_FINISH: Final = {FinishReason.LENGTH: "length", FinishReason.CONTENT_FILTER: "content_filter", FinishReason.REFUSAL: "content_filter"}


def _head(reply: Reply, created: int | None) -> dict[str, Any]:
    return {
        "id": f"cmpl-{reply.request_id}",
        "object": "text_completion",
        "created": created if created is not None else reply.created,
        "model": reply.model,
    }


def _choice(index: int, text: str, finish: FinishReason | None) -> dict[str, Any]:
    word = None if finish is None else "error" if finish is FinishReason.MODEL_FAULT else _FINISH.get(finish, "stop")
    return {"index": index, "text": text, "logprobs": None, "finish_reason": word}


def encode_response(response: ChatResponse, reply: Reply) -> bytes:
    choices = []
    for choice in response.choices:
        refused = "".join(part.text for part in choice.parts if isinstance(part, Refusal))
        choices.append(_choice(choice.index, choice.text + refused, choice.finish))
    body = _head(reply, response.created) | {"choices": choices}
    if response.usage:
        body["usage"] = encode_chat_usage(response.usage)
    return dumps(body)


class CompletionsStreamEncoder:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._head = _head(reply, None)
        self._usage: Usage | None = None
        self._ended = False

    def encode(self, events: Iterable[Event]) -> bytes:
        return b"".join(self._event(event) for event in events if not self._ended)

    def error(self, error: GatewayError) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return b"data: " + dumps({"error": error_object(error)}) + b"\n\n"

    def _event(self, event: Event) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._chunk([_choice(event.choice, event.text, None)])
            case Finish():
                return self._chunk([_choice(event.choice, "", event.reason)])
            case UsageReport():
                self._usage = self._usage.later(event.usage) if self._usage else event.usage
                return b""
            case Failed():
                return self.error(from_failure(event.failure))
            case Done():
                self._ended = True
                asked = self._reply.include_usage and self._usage is not None
                return (self._chunk([], encode_chat_usage(self._usage)) if asked and self._usage else b"") + DONE
            case _:
                return b""

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        told = {"usage": usage} if self._reply.include_usage else {}
        return b"data: " + dumps(self._head | {"choices": choices} | told) + b"\n\n"
